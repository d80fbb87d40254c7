//! Making a certificate and telling how long it lasts.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::Pair;

/// A certificate with the authority that vouches for it. The authority's key is thrown away at once: it signs nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issued {
    /// The authorities to trust, as PEM: that of this certificate, and that of the one before while it may be in use.
    pub(super) authorities: Vec<u8>,
    pub(super) pair: Pair,
}

/// How long a certificate lasts.
fn life() -> Span {
    1.year()
}

/// The names that API servers call a Service by.
fn names(service: &str, namespace: &str) -> Vec<String> {
    let short = format!("{service}.{namespace}.svc");
    vec![format!("{short}.cluster.local"), short]
}

/// A new certificate for a Service.
pub(super) fn issue(service: &str, namespace: &str, now: Timestamp) -> Result<Issued, String> {
    let told = |error: rcgen::Error| error.to_string();
    let today = now.to_zoned(TimeZone::UTC).date();
    // Clocks of API servers may be behind.
    let from = day(today.checked_sub(1.day()).map_err(|error| error.to_string())?)?;
    let until = day(today.checked_add(life()).map_err(|error| error.to_string())?)?;
    let date = |(year, month, day): (i32, u8, u8)| date_time_ymd(year, month, day);

    let mut authority = CertificateParams::default();
    authority.not_before = date(from);
    authority.not_after = date(until);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    authority
        .distinguished_name
        .push(DnType::CommonName, format!("{service} authority of {today}"));
    let authority =
        CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(told)?).map_err(told)?;

    let mut server = CertificateParams::new(names(service, namespace)).map_err(told)?;
    server.not_before = date(from);
    server.not_after = date(until);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.distinguished_name.push(DnType::CommonName, service);
    let key = KeyPair::generate().map_err(told)?;
    let certificate = server.signed_by(&key, &authority).map_err(told)?;
    Ok(Issued {
        authorities: authority.pem().into_bytes(),
        pair: Pair {
            certificate: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        },
    })
}

fn day(date: Date) -> Result<(i32, u8, u8), String> {
    let part = |value: i8| u8::try_from(value).map_err(|error| error.to_string());
    Ok((i32::from(date.year()), part(date.month())?, part(date.day())?))
}

/// When a certificate is to be replaced: after two thirds of its life; none where it cannot serve the Service at all.
pub(super) fn renewal(issued: &Issued, service: &str, namespace: &str) -> Option<Timestamp> {
    let certificate = CertificateDer::from_pem_slice(&issued.pair.certificate).ok()?;
    let (_, certificate) = parse_x509_certificate(&certificate).ok()?;
    let authority = CertificateDer::from_pem_slice(&issued.authorities).ok()?;
    let (_, authority) = parse_x509_certificate(&authority).ok()?;
    if certificate.issuer() != authority.subject() {
        return None;
    }
    let alternatives = certificate.subject_alternative_name().ok()??.value;
    let is_named = |name: &String| {
        alternatives
            .general_names
            .iter()
            .any(|known| matches!(known, GeneralName::DNSName(known) if known == name))
    };
    if !names(service, namespace).iter().all(is_named) {
        return None;
    }
    let from = certificate.validity().not_before.timestamp();
    let until = certificate.validity().not_after.timestamp();
    Timestamp::from_second(from + (until - from) / 3 * 2).ok()
}

/// The authorities to trust once a certificate follows another.
pub(super) fn with_previous(new: &[u8], previous: &[u8]) -> Vec<u8> {
    // The first is that of the certificate in use; older ones have served their time.
    let end = "-----END CERTIFICATE-----";
    let previous = String::from_utf8_lossy(previous);
    let previous = previous.find(end).map_or("", |at| &previous[..at + end.len()]);
    let mut all = new.to_vec();
    if !previous.is_empty() {
        all.extend_from_slice(previous.as_bytes());
        all.push(b'\n');
    }
    all
}
