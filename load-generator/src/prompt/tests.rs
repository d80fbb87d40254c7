use super::*;
use proptest::prelude::*;

const fn spec(tokens: u32, seed: u64, blocks: &[u64]) -> PromptSpec<'_> {
    PromptSpec {
        tokens,
        seed,
        blocks,
        block_seed: 9,
    }
}

fn words(writer: &PromptWriter, spec: PromptSpec<'_>) -> Vec<String> {
    match writer.write(spec).expect("a prompt") {
        Prompt::Text(text) => text.split_whitespace().map(str::to_owned).collect(),
        Prompt::Ids(ids) => ids.iter().map(ToString::to_string).collect(),
    }
}

/// A tokenizer whose tokens are a hundred words with a space before them, and without.
fn tokenizer_file(name: &str, words: &[&str]) -> std::path::PathBuf {
    let mut vocabulary = serde_json::Map::new();
    vocabulary.insert("[UNK]".to_owned(), 0.into());
    for word in words {
        for token in [format!("▁{word}"), (*word).to_owned()] {
            let id = vocabulary.len();
            vocabulary.insert(token, id.into());
        }
    }
    let tokenizer = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true},
        "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    });
    let path = std::env::temp_dir().join(format!("load-generator-{name}-{}.json", std::process::id()));
    std::fs::write(&path, tokenizer.to_string()).expect("a file");
    path
}

#[test]
fn counted_prompts_have_the_length_that_the_tokenizer_counts() {
    let path = tokenizer_file("counted", &COMMON_WORDS);
    let writer = PromptWriter::counted(TokenCounter::open(&path).expect("a tokenizer")).expect("a writer");
    std::fs::remove_file(path).expect("the file");
    let counter = writer.counter().expect("a counter");
    for tokens in [1, 2, 100, 3000] {
        let Prompt::Text(text) = writer.write(spec(tokens, 5, &[])).expect("a prompt") else {
            panic!("text was asked for");
        };
        assert_eq!(counter.count(&text).expect("a count"), tokens);
    }
}

#[test]
fn a_vocabulary_without_words_is_refused() {
    let path = tokenizer_file("few", &["one", "two"]);
    let counter = TokenCounter::open(&path).expect("a tokenizer");
    std::fs::remove_file(path).expect("the file");
    let error = PromptWriter::counted(counter).expect_err("no words").to_string();
    assert!(error.contains("only 2 of its tokens are whole words"), "{error}");
    let missing = TokenCounter::open("nowhere".as_ref())
        .expect_err("no file")
        .to_string();
    assert!(missing.starts_with("tokenizer nowhere: "), "{missing}");
}

proptest! {
    #[test]
    fn prompts_have_their_length_and_share_only_their_blocks(
        tokens in 1_u32..3000,
        seed in any::<u64>(),
        shared in prop::collection::vec(0_u64..50, 0..4),
        vocabulary in 100_u32..200_000,
    ) {
        for writer in [PromptWriter::Common, PromptWriter::Ids { vocabulary }] {
            let one = words(&writer, spec(tokens, seed, &shared));
            let other = words(&writer, spec(tokens, seed.wrapping_add(1), &shared));
            prop_assert_eq!(one.len(), usize::try_from(tokens).expect("small"));
            prop_assert_eq!(&one, &words(&writer, spec(tokens, seed, &shared)));
            let prefix = (shared.len() * 512).min(one.len());
            prop_assert_eq!(&one[..prefix], &other[..prefix]);
            if one.len() > prefix + 16 {
                prop_assert_ne!(&one[prefix..prefix + 16], &other[prefix..prefix + 16]);
            }
        }
    }
}
