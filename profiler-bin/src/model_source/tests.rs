use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use super::{HubSettings, ModelOrigin, ModelQuery, ModelSourceError, find_model};

const CONFIG: &str = r#"{
  "architectures": ["LlamaForCausalLM"], "hidden_size": 2048, "intermediate_size": 8192,
  "num_hidden_layers": 16, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
  "vocab_size": 128256, "max_position_embeddings": 131072, "tie_word_embeddings": true, "torch_dtype": "bfloat16"
}"#;

/// A hub on this machine that answers every request by its path until the test ends.
fn hub(answer: fn(&str) -> (u16, &'static str)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), answer);
        }
    });
    endpoint
}

fn serve(mut stream: TcpStream, answer: fn(&str) -> (u16, &'static str)) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut ranged = false;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
            break;
        }
        ranged |= header.to_ascii_lowercase().starts_with("range: bytes=0-0");
    }
    let path = request.split_whitespace().nth(1).unwrap_or("/");
    let (status, body) = answer(path);
    let shown = if ranged && status == 200 { &body[..1] } else { body };
    let status = if ranged && status == 200 { 206 } else { status };
    let _gone = write!(
        stream,
        "HTTP/1.1 {status} X\r\nx-repo-commit: 0123456789abcdef0123456789abcdef01234567\r\netag: \"{:x}\"\r\n\
         content-range: bytes 0-0/{}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{shown}",
        body.len(),
        body.len(),
        shown.len()
    );
}

fn settings(endpoint: String, cache: &Path) -> HubSettings {
    HubSettings {
        endpoint,
        token: None,
        cache: Some(cache.to_owned()),
        offline: false,
    }
}

#[test]
fn an_unknown_name_is_fetched_once_and_then_found_offline() {
    let cache = tempfile::tempdir().unwrap();
    let endpoint = hub(|path| {
        if path.ends_with("/config.json") {
            (200, CONFIG)
        } else {
            (404, "")
        }
    });
    let online = settings(endpoint.clone(), cache.path());
    let found = find_model(&ModelQuery::named("acme/tiny-llama").with_hub(online.clone())).unwrap();
    assert_eq!(found.origin, ModelOrigin::Hub { endpoint });
    assert_eq!((found.spec.layers, found.spec.heads), (16, 32));

    let offline = HubSettings {
        endpoint: "http://127.0.0.1:9".to_owned(),
        offline: true,
        ..online
    };
    let again = find_model(&ModelQuery::named("acme/tiny-llama").with_hub(offline)).unwrap();
    assert_eq!(again.spec, found.spec);
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    let directory = tempfile::tempdir().unwrap();
    // A file where the cache would be: nobody can write below it, not even root.
    let cache = directory.path().join("hub");
    std::fs::write(&cache, "").unwrap();
    let endpoint = hub(|path| {
        if path.ends_with("/config.json") {
            (200, CONFIG)
        } else {
            (404, "")
        }
    });
    let found =
        find_model(&ModelQuery::named("acme/tiny-llama").with_hub(settings(endpoint, &cache))).unwrap();
    assert_eq!(found.spec.layers, 16);
}

#[test]
fn refusals_say_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let ask = |endpoint: String, offline| {
        let hub = HubSettings {
            offline,
            ..settings(endpoint, cache.path())
        };
        find_model(&ModelQuery::named("acme/Qwen3-32").with_hub(hub)).unwrap_err()
    };
    let gated = ask(hub(|_| (401, "")), false);
    assert!(matches!(gated, ModelSourceError::Forbidden { .. }), "{gated}");
    assert!(gated.to_string().contains("HF_TOKEN"));
    let missing = ask(hub(|_| (404, "")), false);
    assert!(matches!(missing, ModelSourceError::NotFound { .. }), "{missing}");
    assert!(missing.to_string().contains("Qwen/Qwen3-32B"), "{missing}");
    let down = ask("http://127.0.0.1:9".to_owned(), false);
    assert!(matches!(down, ModelSourceError::Unreachable { .. }), "{down}");
    assert!(down.to_string().contains("--model-config"));
    let offline = ask("http://127.0.0.1:9".to_owned(), true);
    assert!(matches!(offline, ModelSourceError::Offline { .. }), "{offline}");
}

#[test]
fn known_names_and_local_files_need_no_hub() {
    let nowhere = HubSettings {
        endpoint: "http://127.0.0.1:9".to_owned(),
        token: None,
        cache: None,
        offline: false,
    };
    let known = find_model(&ModelQuery::named("qwen/qwen3-32b").with_hub(nowhere.clone())).unwrap();
    assert_eq!(known.origin, ModelOrigin::Registry);

    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), CONFIG).unwrap();
    let given = ModelQuery::named("anything")
        .with_config(Some(directory.path()))
        .with_hub(nowhere.clone());
    assert!(matches!(find_model(&given).unwrap().origin, ModelOrigin::File(_)));
    let mounted = ModelQuery::named("acme/x").with_local(Some(directory.path().to_owned()));
    assert_eq!(find_model(&mounted).unwrap().spec.name, "acme/x");

    let unreadable = ModelQuery::named("x/y").with_config(Some(Path::new("/no/such/config.json")));
    assert!(
        find_model(&unreadable)
            .unwrap_err()
            .to_string()
            .contains("/no/such/config.json")
    );
    let no_name = find_model(&ModelQuery::named("not-a-model").with_hub(nowhere)).unwrap_err();
    assert!(matches!(no_name, ModelSourceError::NotAName { .. }), "{no_name}");
}

#[test]
fn names_of_the_hub_are_no_paths() {
    for name in ["Qwen/Qwen3-32B", "meta-llama/Meta-Llama-3.1-70B", "a/b_c"] {
        assert!(super::is_hub_name(name), "{name}");
    }
    for name in [
        "",
        "Qwen3-32B",
        "/etc/model",
        "../secrets",
        "a/..",
        "a/b/c",
        "a/",
        "a/b c",
        "a/.b",
        "~/m",
    ] {
        assert!(!super::is_hub_name(name), "{name}");
    }
    assert!(super::is_built_in("Qwen/Qwen3-32B"));
    assert!(!super::is_built_in("nobody/nothing"));
}
