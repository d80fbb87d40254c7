use std::collections::BTreeMap;
use std::fmt::Write;

use dgdr_interpolation::{DecodePlace, DecodePoint, DecodeSurface, PrefillCurve, PrefillPoint};
use dgdr_units::{Fraction, Milliseconds, Tokens, TokensPerSecond, real};
use proptest::prelude::*;

use super::canvas::{Anchor, Area, HEIGHT, Mark, Run, Shape, Text, WIDTH, Weight};
use super::font::Font;
use super::*;

fn subject() -> Subject {
    Subject {
        model: "Qwen/Qwen3-32B".to_owned(),
        backend: "trtllm".to_owned(),
        system: "h200_sxm".to_owned(),
    }
}

fn prefill_sample() -> PrefillPerformance {
    let candidates = [
        ("tp1", 1, 420.0, 7100.0),
        ("tp2", 2, 228.0, 6570.0),
        ("tp4", 4, 131.0, 5720.0),
        ("tp8", 8, 92.0, 4070.0),
        ("tep4", 4, 142.0, 5280.0),
        ("tep8", 8, 95.0, 3940.0),
        ("dep4", 4, 139.0, 5400.0),
        ("dep8", 8, 98.0, 3800.0),
    ];
    PrefillPerformance {
        subject: subject(),
        isl: 3000,
        candidates: candidates
            .map(|(mapping, gpus, ttft_ms, throughput_per_gpu)| PrefillCandidate {
                mapping: mapping.to_owned(),
                gpus,
                ttft_ms,
                throughput_per_gpu,
            })
            .into(),
        ttft_limit_ms: Some(200.0),
        pick: Some(2),
        runner_up: Some(3),
    }
}

fn decode_sample() -> DecodePerformance {
    let mappings = [
        ("tp1", 1, 9.0, 0.32),
        ("tp2", 2, 6.1, 0.17),
        ("tp4", 4, 4.4, 0.1),
        ("dep8", 8, 5.2, 0.05),
    ];
    let candidates = mappings.map(|(mapping, gpus, base_ms, per_request_ms)| {
        let loads = [1_u32, 4, 16, 64, 128].map(|in_flight| {
            let itl_ms = base_ms + per_request_ms * f64::from(in_flight);
            DecodeLoad {
                in_flight: u64::from(in_flight),
                itl_ms,
                throughput_per_gpu: f64::from(in_flight) / itl_ms * 1e3 / f64::from(gpus),
            }
        });
        DecodeCandidate {
            mapping: mapping.to_owned(),
            gpus,
            loads: loads.into(),
        }
    });
    DecodePerformance {
        subject: subject(),
        isl: 3000,
        osl: 150,
        candidates: candidates.into(),
        itl_limit_ms: Some(20.0),
        pick: Some(DecodePick {
            candidate: 1,
            load: 3,
        }),
        runner_up: Some(DecodePick {
            candidate: 2,
            load: 3,
        }),
    }
}

fn fronts_sample() -> Fronts {
    let point = |user_speed: f64, throughput: f64| FrontPoint {
        user_speed,
        throughput,
        cost: Some(400.0 / throughput),
        meets_sla: user_speed >= 50.0,
    };
    let front = |backend: &str, factor: f64| Front {
        backend: backend.to_owned(),
        points: [(120.0, 90.0), (90.0, 400.0), (55.0, 900.0), (30.0, 1200.0)]
            .map(|(speed, throughput)| point(speed * factor, throughput))
            .into(),
    };
    Fronts {
        subject: subject(),
        isl: 3000,
        osl: 150,
        fronts: vec![front("trtllm", 1.0), front("vllm", 0.95)],
        sla: Some("TTFT ≤ 200 ms, ITL ≤ 20 ms".to_owned()),
        least_user_speed: Some(50.0),
        cost_label: "GPU hours per 1,000 requests at full load".to_owned(),
        cost_unit: "GPU hours",
        pick: Some(FrontPick {
            front: 0,
            point: point(55.0, 900.0),
            words: "TP2, batch 56".to_owned(),
        }),
        runner_up: Some(FrontPick {
            front: 1,
            point: point(0.95 * 55.0, 900.0),
            words: "prefill 4×TP1 + decode 1×TP4, batch 216".to_owned(),
        }),
    }
}

fn curve(points: &[(u64, f64)]) -> PrefillCurve {
    PrefillCurve::new(
        points
            .iter()
            .map(|(isl, ttft_ms)| PrefillPoint {
                isl: Tokens::new(*isl),
                ttft: Milliseconds::new(*ttft_ms).expect("a duration"),
                throughput_per_gpu: TokensPerSecond::new(real(*isl) / ttft_ms * 1e3).expect("a rate"),
            })
            .collect(),
    )
    .expect("a curve")
}

/// Rows of (context length, KV usages), with an ITL that rises along both.
fn surface(rows: &[(f64, &[f64])]) -> DecodeSurface {
    let point = |context_length: f64, usage: f64| DecodePoint {
        kv_usage: Fraction::new(usage).expect("a fraction"),
        context_length,
        itl: Milliseconds::new(4.0 + 40.0 * usage + context_length / 2000.0).expect("a duration"),
        throughput_per_gpu: TokensPerSecond::new(1e7 * usage / context_length).expect("a rate"),
    };
    let points = rows
        .iter()
        .flat_map(|(context_length, usages)| usages.iter().map(move |usage| point(*context_length, *usage)))
        .collect();
    DecodeSurface::new(Tokens::new(900_000), points).expect("a surface")
}

fn sample_surface() -> DecodeSurface {
    surface(&[
        (350.0, &[0.001, 0.2, 0.4, 0.6]),
        (3000.0, &[0.004, 0.3, 0.6, 0.92]),
        (8000.0, &[0.01, 0.3, 0.6, 0.95]),
    ])
}

/// All pictures of one run.
fn samples() -> Vec<(&'static str, Drawing)> {
    let subject = subject();
    let curve = curve(&[
        (100, 19.5),
        (1117, 38.5),
        (2134, 50.0),
        (4168, 87.3),
        (8236, 171.0),
        (10_270, 232.0),
    ]);
    let prefill = PrefillPicture {
        subject: &subject,
        mapping: "tp4",
        points: "simulated points",
        curve: &curve,
        ttft_limit_ms: Some(200.0),
        isl: Some(3000),
    };
    let surface = sample_surface();
    let pick = DecodePlace {
        kv_usage: Fraction::new(0.3).expect("a fraction"),
        context_length: 3075.0,
    };
    let decode = DecodePicture {
        subject: &subject,
        mapping: "tp4",
        points: "simulated points",
        surface: &surface,
        itl_limit_ms: Some(20.0),
        pick: Some(pick),
    };
    vec![
        ("prefill_performance", prefill_performance(&prefill_sample())),
        ("decode_performance", decode_performance(&decode_sample())),
        ("prefill_ttft", prefill_ttft(&prefill)),
        ("prefill_throughput", prefill_throughput(&prefill)),
        ("decode_itl", decode_itl(&decode)),
        ("decode_throughput", decode_throughput(&decode)),
        ("pareto", pareto(&fronts_sample())),
        ("cost_sla", cost_sla(&fronts_sample())),
    ]
}

fn texts(drawing: &Drawing) -> impl Iterator<Item = &Text> {
    drawing.marks.iter().filter_map(|mark| match mark {
        Mark::Text(text) => Some(text),
        Mark::Fill(..) | Mark::Line(..) | Mark::Marker(_) => None,
    })
}

/// The area that a text covers, descenders left out.
fn covered(text: &Text) -> Area {
    let along = Font::new(text.weight).width(&text.words, text.size);
    let before = match text.anchor {
        Anchor::Start => 0.0,
        Anchor::Middle => along / 2.0,
        Anchor::End => along,
    };
    let (x, y, up) = (text.at.x, text.at.y, 0.75 * text.size);
    match text.run {
        Run::Right => Area {
            left: x - before,
            right: x - before + along,
            top: y - up,
            bottom: y,
        },
        Run::Upwards => Area {
            left: x - up,
            right: x,
            top: y + before - along,
            bottom: y + before,
        },
    }
}

/// Texts in order, then how many marks of each sort there are.
fn summary(drawing: &Drawing) -> String {
    let mut summary: String = texts(drawing)
        .flat_map(|text| [text.words.as_str(), " | "])
        .collect();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for mark in &drawing.marks {
        let sort = match mark {
            Mark::Fill(..) => "fills",
            Mark::Line(..) => "lines",
            Mark::Marker(marker) if marker.shape == Shape::Ring => "rings",
            Mark::Marker(_) => "markers",
            Mark::Text(_) => "texts",
        };
        *counts.entry(sort).or_default() += 1;
    }
    write!(summary, "{counts:?}").expect("a string takes all");
    summary
}

#[test]
fn pictures_say_what_they_show() {
    let all: Vec<String> = samples()
        .iter()
        .map(|(name, drawing)| format!("{name}: {}", summary(drawing)))
        .collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn no_text_leaves_the_page_or_touches_another() {
    for (name, drawing) in samples() {
        let covered: Vec<(Area, &str)> = texts(&drawing)
            .map(|text| (covered(text), text.words.as_str()))
            .collect();
        for (index, (area, words)) in covered.iter().enumerate() {
            assert!(
                area.left >= 0.0 && area.top >= 0.0 && area.right <= WIDTH && area.bottom <= HEIGHT,
                "{name}: {words:?} leaves the page: {area:?}"
            );
            for (other, other_words) in &covered[index + 1..] {
                assert!(!area.overlaps(other), "{name}: {words:?} touches {other_words:?}");
            }
        }
    }
}

#[test]
fn the_bytes_are_a_png_of_the_page_and_the_same_each_time() {
    for (name, drawing) in samples() {
        let bytes = drawing.png().expect("encoded");
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes))
            .read_info()
            .expect("a PNG file");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut pixels).expect("a picture");
        assert_eq!((info.width, info.height), (1200, 780), "{name}");
        let colours: std::collections::BTreeSet<&[u8]> = pixels.chunks_exact(3).collect();
        assert!(colours.len() > 20, "{name} is empty");
        assert_eq!(drawing.png().expect("encoded"), bytes, "{name}");
    }
}

#[test]
fn the_bundled_fonts_have_every_letter_of_the_samples() {
    for (name, drawing) in samples() {
        for text in texts(&drawing) {
            assert!(
                Font::new(text.weight).has(&text.words),
                "{name}: {:?}",
                text.words
            );
        }
    }
    assert!(Font::new(Weight::Bold).width("ITL", 20.0) > Font::new(Weight::Regular).width("ITL", 20.0));
}

#[test]
fn long_model_names_are_cut_in_their_middle() {
    let mut performance = prefill_sample();
    performance.subject.model = format!("/models/{}/snapshots/Qwen3-32B", "very-long-folder/".repeat(20));
    let drawing = prefill_performance(&performance);
    let subtitle = texts(&drawing).nth(1).expect("a subtitle");
    assert!(
        subtitle.words.starts_with("/models/very-long"),
        "{}",
        subtitle.words
    );
    assert!(subtitle.words.contains('…') && subtitle.words.contains("snapshots/Qwen3-32B  ·  trtllm"));
    assert!(covered(subtitle).right <= WIDTH);
}

#[test]
fn a_limit_far_away_is_named_but_does_not_squeeze_the_data() {
    let mut performance = prefill_sample();
    performance.ttft_limit_ms = Some(50_000.0);
    let words: Vec<String> = texts(&prefill_performance(&performance))
        .map(|text| text.words.clone())
        .collect();
    assert!(
        words.contains(&"TTFT SLA 50,000 ms (beyond this picture)".to_owned()),
        "{words:?}"
    );
    assert!(words.contains(&"400".to_owned()), "{words:?}");
}

#[test]
fn a_wide_range_of_latencies_gets_a_log_axis() {
    let mut performance = prefill_sample();
    performance.candidates[0].ttft_ms = 9000.0;
    let words: Vec<String> = texts(&prefill_performance(&performance))
        .map(|text| text.words.clone())
        .collect();
    for tick in ["100", "500", "1,000", "5,000"] {
        assert!(words.contains(&tick.to_owned()), "{tick} in {words:?}");
    }
}

#[test]
fn nothing_measured_still_gives_a_picture() {
    let empty = PrefillPerformance {
        candidates: vec![],
        pick: Some(3),
        ttft_limit_ms: None,
        ..prefill_sample()
    };
    assert!(prefill_performance(&empty).png().is_ok());
    let no_limit = DecodePerformance {
        candidates: vec![],
        itl_limit_ms: None,
        ..decode_sample()
    };
    assert!(decode_performance(&no_limit).png().is_ok());
    let nothing = Fronts {
        fronts: vec![],
        sla: None,
        least_user_speed: None,
        ..fronts_sample()
    };
    assert!(pareto(&nothing).png().is_ok() && cost_sla(&nothing).png().is_ok());
    let one_context = surface(&[(1000.0, &[0.1, 0.9])]);
    let subject = subject();
    let picture = DecodePicture {
        subject: &subject,
        mapping: "tp1",
        points: "simulated points",
        surface: &one_context,
        itl_limit_ms: Some(1e9),
        pick: None,
    };
    let drawing = decode_itl(&picture);
    let words: Vec<&str> = texts(&drawing).map(|text| text.words.as_str()).collect();
    assert!(
        words.contains(&"ITL SLA 1,000,000,000 ms (not crossed in the measured range)"),
        "{words:?}"
    );
    assert!(drawing.png().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_numbers_give_a_picture(
        numbers in prop::collection::vec((any::<f64>(), any::<f64>(), any::<u32>()), 0..12),
        limit in prop::option::of(any::<f64>()),
        pick in prop::option::of(0_usize..14),
    ) {
        let prefill = PrefillPerformance {
            candidates: numbers.iter().map(|(ttft_ms, throughput_per_gpu, gpus)| PrefillCandidate {
                mapping: format!("tp{gpus}"), gpus: *gpus, ttft_ms: *ttft_ms, throughput_per_gpu: *throughput_per_gpu,
            }).collect(),
            ttft_limit_ms: limit,
            pick,
            ..prefill_sample()
        };
        prop_assert!(prefill_performance(&prefill).png().is_ok());
        let loads = numbers.iter().map(|(itl_ms, throughput_per_gpu, in_flight)| DecodeLoad {
            in_flight: u64::from(*in_flight), itl_ms: *itl_ms, throughput_per_gpu: *throughput_per_gpu,
        }).collect();
        let decode = DecodePerformance {
            candidates: vec![DecodeCandidate { mapping: String::new(), gpus: 0, loads }],
            itl_limit_ms: limit,
            pick: pick.map(|load| DecodePick { candidate: 0, load }),
            ..decode_sample()
        };
        prop_assert!(decode_performance(&decode).png().is_ok());
        let points: Vec<FrontPoint> = numbers.iter().map(|(user_speed, throughput, cost)| FrontPoint {
            user_speed: *user_speed, throughput: *throughput, cost: Some(f64::from(*cost)), meets_sla: cost % 2 == 0,
        }).collect();
        let pick = pick.and_then(|index| points.get(index)).map(|point| FrontPick {
            front: 0, point: *point, words: "tp1".to_owned(),
        });
        let fronts = Fronts {
            fronts: vec![Front { backend: String::new(), points }], least_user_speed: limit, pick, ..fronts_sample()
        };
        prop_assert!(!cost_sla(&fronts).marks.is_empty());
        prop_assert!(pareto(&fronts).png().is_ok());
    }
}

#[test]
fn what_misses_the_sla_is_hollow_and_pick_and_runner_up_are_named() {
    let drawing = pareto(&fronts_sample());
    let hollow = |mark: &Mark| matches!(mark, Mark::Marker(marker) if marker.fill == super::palette::PAPER && marker.shape != Shape::Ring);
    // One of each engine, and one in the legend.
    assert_eq!(drawing.marks.iter().filter(|mark| hollow(mark)).count(), 3);
    let words: Vec<&str> = texts(&drawing).map(|text| text.words.as_str()).collect();
    assert!(
        words.contains(&"picked: trtllm TP2, batch 56: 900 tok/s/GPU"),
        "{words:?}"
    );
    let second = "runner-up: vllm prefill 4×TP1 + decode 1×TP4, batch 216: 900 tok/s/GPU";
    assert!(words.contains(&second), "{words:?}");
    let cost = cost_sla(&fronts_sample());
    let words: Vec<&str> = texts(&cost).map(|text| text.words.as_str()).collect();
    assert!(
        words.contains(&"picked: trtllm TP2, batch 56: 0.444 GPU hours"),
        "{words:?}"
    );
}

#[test]
fn of_many_mappings_the_best_are_named_and_the_others_are_faint() {
    let mut performance = decode_sample();
    let sample = performance.candidates[3].clone();
    for number in 0..40_u32 {
        let mut more = sample.clone();
        more.mapping = format!("more{number}");
        for load in &mut more.loads {
            load.throughput_per_gpu *= 1.0 + f64::from(number) / 10.0;
        }
        performance.candidates.push(more);
    }
    let drawing = decode_performance(&performance);
    let words: Vec<&str> = texts(&drawing).map(|text| text.words.as_str()).collect();
    for named in ["tp2 (2 GPUs)", "tp4 (4 GPUs)", "more39 (8 GPUs)", "30 others"] {
        assert!(words.contains(&named), "{named} in {words:?}");
    }
    assert!(!words.contains(&"more0 (8 GPUs)"), "{words:?}");
}

#[test]
fn mixed_mappings_are_a_kind_of_their_own() {
    let mut performance = prefill_sample();
    performance.candidates[1].mapping = "tp2×dp4/moe-tp1×ep8".to_owned();
    let drawing = prefill_performance(&performance);
    assert!(texts(&drawing).any(|text| text.words == "mixed"));
}
