//! Keys and certificates of one control plane, made anew for every run and written only into its directory.

use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::json;

/// The authority that signs everything: serving certificates, client certificates, the gate's certificate.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

// === impl Authority ===

impl Authority {
    pub fn generate() -> Result<Self, rcgen::Error> {
        let mut params = named("podgate test authority", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        Ok(Self {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
        })
    }

    /// The authority's certificate, PEM.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// The authority's certificate as Kubernetes objects and kubeconfigs carry it: base64 of the PEM.
    pub fn bundle(&self) -> String {
        BASE64_STANDARD.encode(self.certificate())
    }

    /// A serving certificate for DNS names and IP addresses.
    pub fn server(&self, names: &[&str]) -> Result<Identity, rcgen::Error> {
        let mut params =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// A client certificate: Kubernetes takes the user from the common name and the group from the organisation.
    pub fn client(&self, user: &str, group: Option<&str>) -> Result<Identity, rcgen::Error> {
        let mut params = named(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    /// A kubeconfig, as JSON, which is YAML.
    pub fn kubeconfig(&self, server: &str, user: &Identity) -> String {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "podgate", "cluster": {"server": server, "certificate-authority-data": self.bundle()}}],
            "users": [{"name": "podgate", "user": {
                "client-certificate-data": BASE64_STANDARD.encode(&user.certificate),
                "client-key-data": BASE64_STANDARD.encode(&user.key),
            }}],
            "contexts": [{"name": "podgate", "context": {"cluster": "podgate", "user": "podgate"}}],
            "current-context": "podgate",
        })
        .to_string()
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Identity, rcgen::Error> {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity {
            certificate,
            key: key.serialize_pem(),
        })
    }
}

fn named(common_name: &str, organisation: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    if let Some(organisation) = organisation {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organisation);
    }
    params
}
