//! The certificates of a test cluster: P-256, made once a folder.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

use super::folder::Folder;

/// Who signs everything.
pub(crate) const CA: &str = "ca";
/// The API server's own certificate.
pub(crate) const API_SERVER: &str = "apiserver";
/// The test kubelet's own certificate.
pub(crate) const KUBELET: &str = "kubelet";
/// The key that signs the tokens of ServiceAccounts.
pub(crate) const SERVICE_ACCOUNTS: &str = "service-accounts";
/// Whom the API server is to the kubelet.
pub(crate) const KUBELET_CLIENT: &str = "apiserver-kubelet-client";
/// Who may do everything.
pub(crate) const ADMIN: &str = "admin";
/// The controller manager.
pub(crate) const CONTROLLERS: &str = "controller-manager";
/// The scheduler.
pub(crate) const SCHEDULER: &str = "scheduler";

/// Whom Kubernetes takes a client for.
struct Identity {
    owner: &'static str,
    user: &'static str,
    group: Option<&'static str>,
}

const CLIENTS: [Identity; 4] = [
    Identity {
        owner: ADMIN,
        user: "dgdr-test-admin",
        group: Some("system:masters"),
    },
    Identity {
        owner: CONTROLLERS,
        user: "system:kube-controller-manager",
        group: None,
    },
    Identity {
        owner: SCHEDULER,
        user: "system:kube-scheduler",
        group: None,
    },
    Identity {
        owner: KUBELET_CLIENT,
        user: "kube-apiserver",
        group: Some("system:masters"),
    },
];

/// Makes what is missing. The CA comes last on disk: where it is, all the others are.
pub(crate) fn make(folder: &Folder) -> anyhow::Result<()> {
    if folder.certificate(CA).is_file() {
        return Ok(());
    }
    let authority = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name("dgdr-test-cluster", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let certificate = params.self_signed(&authority)?;
    let issuer = Issuer::from_params(&params, &authority);

    let hosts = [
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
    ];
    sign(folder, API_SERVER, &server("kube-apiserver", &hosts)?, &issuer)?;
    sign(
        folder,
        KUBELET,
        &server("test-kubelet", &["127.0.0.1", "localhost"])?,
        &issuer,
    )?;
    for client in CLIENTS {
        sign(
            folder,
            client.owner,
            &client_params(client.user, client.group)?,
            &issuer,
        )?;
    }
    let tokens = KeyPair::generate()?;
    write(&folder.key(SERVICE_ACCOUNTS), &tokens.serialize_pem())?;
    write(&folder.certificate(SERVICE_ACCOUNTS), &tokens.public_key_pem())?;
    write(&folder.key(CA), &authority.serialize_pem())?;
    write(&folder.certificate(CA), &certificate.pem())
}

/// Makes the certificate with which a node speaks to the API server.
pub(crate) fn node(folder: &Folder, node: &str) -> anyhow::Result<()> {
    if folder.certificate(node).is_file() {
        return Ok(());
    }
    let authority = KeyPair::from_pem(&read(&folder.key(CA))?)?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name("dgdr-test-cluster", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = Issuer::from_params(&params, &authority);
    let user = format!("system:node:{node}");
    sign(
        folder,
        node,
        &client_params(&user, Some("system:nodes"))?,
        &issuer,
    )
}

fn client_params(user: &str, group: Option<&str>) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name(user, group);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn server(common_name: &str, hosts: &[&str]) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())?;
    params.distinguished_name = name(common_name, None);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn name(common_name: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

fn sign(
    folder: &Folder,
    owner: &str,
    params: &CertificateParams,
    issuer: &Issuer<'_, &KeyPair>,
) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    write(&folder.key(owner), &key.serialize_pem())?;
    write(&folder.certificate(owner), &certificate.pem())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
