use super::*;
use proptest::prelude::*;

/// Feeds a response in portions; its body, whether it ended, and its head.
fn read(response: &[u8], cuts: &[usize]) -> Result<(Vec<u8>, bool, Option<Head>), HttpError> {
    let mut reader = ResponseReader::default();
    let mut body = Vec::new();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (response.len() + 1)).collect();
    cuts.extend([0, response.len()]);
    cuts.sort_unstable();
    for pair in cuts.windows(2) {
        reader.feed(&response[pair[0]..pair[1]], |part| body.extend_from_slice(part))?;
    }
    Ok((body, reader.is_done(), reader.head()))
}

#[test]
fn bodies_end_as_their_head_says() {
    let cases: [(&[u8], &[u8], bool, bool); 7] = [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", b"abc", true, true),
        (b"HTTP/1.1 204 No\r\n\r\n", b"", true, true),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", b"", true, false),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", b"x", true, false),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\ncontent-length: 1\r\n\r\nx", b"x", true, true),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nab\r\n1\r\nc\r\n0\r\nx: y\r\n\r\n",
            b"abc",
            true,
            true,
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", b"abc", false, false),
    ];
    for (response, expected, done, keeps_alive) in cases {
        let (body, is_done, head) = read(response, &[]).expect("a response");
        assert_eq!((body.as_slice(), is_done), (expected, done));
        assert_eq!(head.expect("a head").keeps_alive, keeps_alive);
    }
}

#[test]
fn what_is_no_response_is_refused() {
    for (response, error) in [
        (&b"SSH-2.0-x\r\n\r\n"[..], HttpError::Head),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", HttpError::Head),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxy",
            HttpError::Surplus,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            HttpError::Chunk,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
            HttpError::Chunk,
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
            HttpError::Chunk,
        ),
    ] {
        assert_eq!(read(response, &[]), Err(error));
    }
}

#[test]
fn a_closed_connection_ends_only_bodies_without_length() {
    let close = |response: &[u8]| {
        let mut reader = ResponseReader::default();
        reader.feed(response, |_| ()).expect("a response");
        reader.close()
    };
    assert_eq!(close(b"HTTP/1.1 200 OK\r\n\r\nab"), Ok(()));
    assert_eq!(
        close(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab"),
        Err(HttpError::Truncated)
    );
    assert_eq!(close(b"HTTP/1.1 200"), Err(HttpError::Truncated));
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
    assert_eq!(close(chunked), Err(HttpError::Truncated));
}

proptest! {
    #[test]
    fn portions_do_not_matter(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        interim in any::<bool>(),
    ) {
        let mut response = Vec::new();
        if interim {
            response.extend_from_slice(b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n");
        }
        response.extend_from_slice(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for part in &parts {
            response.extend_from_slice(format!("{:X}\r\n", part.len()).as_bytes());
            response.extend_from_slice(part);
            response.extend_from_slice(b"\r\n");
        }
        response.extend_from_slice(b"0\r\n\r\n");
        let (body, done, head) = read(&response, &cuts).expect("a response");
        prop_assert_eq!(body, parts.concat());
        prop_assert!(done);
        prop_assert_eq!(head.map(|head| head.status), Some(200));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        // Whatever the bytes are, reading them ends without a panic, and no body comes before a head.
        if let Ok((body, done, head)) = read(&bytes, &[3, 7]) {
            prop_assert!(head.is_some() || (body.is_empty() && !done));
        }
    }
}
