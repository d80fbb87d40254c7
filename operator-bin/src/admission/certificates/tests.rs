use jiff::{Timestamp, ToSpan as _};
use x509_parser::parse_x509_certificate;

use super::issued::{Issued, issue, renewal, with_previous};
use super::*;

const SERVICE: &str = "dgdr-operator-webhook";
const NAMESPACE: &str = "dgdr-system";

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn issued() -> Issued {
    issue(SERVICE, NAMESPACE, now()).unwrap()
}

#[test]
fn a_certificate_serves_its_service_for_a_year() {
    let issued = issued();
    let leaf = CertificateDer::from_pem_slice(&issued.pair.certificate).unwrap();
    let (_, leaf) = parse_x509_certificate(&leaf).unwrap();
    let root = CertificateDer::from_pem_slice(&issued.authorities).unwrap();
    let (_, root) = parse_x509_certificate(&root).unwrap();
    assert!(root.is_ca() && !leaf.is_ca());
    assert_eq!(leaf.issuer(), root.subject());
    assert_eq!(
        leaf.validity().not_before.to_string(),
        "Nov 23 00:00:00 2026 +00:00"
    );
    assert_eq!(
        leaf.validity().not_after.to_string(),
        "Nov 24 00:00:00 2027 +00:00"
    );
    issued.pair.server("a test").unwrap();
}

#[test]
fn it_is_renewed_after_two_thirds_of_its_life() {
    let renewal = renewal(&issued(), SERVICE, NAMESPACE).unwrap();
    assert_eq!(renewal.to_string(), "2027-07-25T00:00:00Z");
}

#[test]
fn what_cannot_serve_is_replaced_at_once() {
    let good = issued();
    assert_eq!(renewal(&good, "other", NAMESPACE), None);
    assert_eq!(renewal(&good, SERVICE, "elsewhere"), None);
    let broken = Issued {
        authorities: b"none".to_vec(),
        ..good.clone()
    };
    assert_eq!(renewal(&broken, SERVICE, NAMESPACE), None);
    let later = issue(SERVICE, NAMESPACE, now().checked_add(48.hours()).unwrap()).unwrap();
    let strangers = Issued {
        authorities: later.authorities,
        ..good
    };
    assert_eq!(renewal(&strangers, SERVICE, NAMESPACE), None);
}

/// Replicas that still show the old certificate must be trusted until they have read the new one.
#[test]
fn the_authority_before_is_trusted_for_one_more_life() {
    let (first, second, third) = (issued(), issued(), issued());
    let bundle = with_previous(&second.authorities, &first.authorities);
    let bundle = with_previous(&third.authorities, &bundle);
    let trusted: Vec<_> = CertificateDer::pem_slice_iter(&bundle)
        .collect::<Result<_, _>>()
        .unwrap();
    let of = |issued: &Issued| CertificateDer::from_pem_slice(&issued.authorities).unwrap();
    assert_eq!(trusted, [of(&third), of(&second)]);
    assert_eq!(with_previous(&third.authorities, b""), third.authorities);
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let mixed = Pair {
        certificate: issued().pair.certificate,
        key: issued().pair.key,
    };
    let error = mixed.server("secret a/b").unwrap_err().to_string();
    assert!(
        error.starts_with("secret a/b: holds no usable certificate and key"),
        "{error}"
    );
}

/// As cert-manager's secret is mounted: both files change when one link is exchanged.
#[tokio::test]
async fn a_mounted_certificate_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, pair: &Pair| {
        let data = folder.path().join(name);
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("tls.crt"), &pair.certificate).unwrap();
        std::fs::write(data.join("tls.key"), &pair.key).unwrap();
        let link = folder.path().join("..new");
        std::os::unix::fs::symlink(name, &link).unwrap();
        std::fs::rename(&link, folder.path().join("..data")).unwrap();
    };
    write("..first", &issued().pair);
    for file in ["tls.crt", "tls.key"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), folder.path().join(file)).unwrap();
    }
    let files = Files::watch(folder.path().to_owned()).unwrap();
    let first = files.read().unwrap();
    let tls = RustlsConfig::from_config(Arc::clone(&first));
    let shown = tls.clone();
    let keeping = tokio::spawn(async move { files.keep(&shown).await });
    write("..second", &issued().pair);
    while Arc::ptr_eq(&tls.get_inner(), &first) {
        tokio::task::yield_now().await;
    }
    keeping.abort();
}

#[test]
fn a_folder_without_a_certificate_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::watch(folder.path().to_owned()).unwrap();
    let error = files.read().unwrap_err().to_string();
    assert!(
        error.contains("tls.crt") && error.contains("mount a secret"),
        "{error}"
    );
}
