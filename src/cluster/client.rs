//! The client for the API server, if there is one to talk to.

mod heard;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use self::heard::HeardLayer;
use super::clock::ApiClock;
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};

/// An API server that does not take a connection within this time is gone.
const CONNECT: Duration = Duration::from_secs(5);

/// One that says nothing for so long is gone, too. Longer than a watch may be silent.
const READ: Duration = Duration::from_mins(1);

/// kubelet sets it in every Pod; without it this is no cluster.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// Why there is no client although there should be one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file that was named cannot be used.
    #[error("cannot use the kubeconfig {path:?}: {source}")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// What the variable `KUBECONFIG` names cannot be used.
    #[error("cannot use what KUBECONFIG names: {0}")]
    Environment(#[source] Box<KubeconfigError>),
    /// No credentials were named, and those that kubectl would use cannot be used.
    #[error("cannot use kubectl's kubeconfig, and no other is named with --kubeconfig: {0}")]
    Unnamed(#[source] Box<KubeconfigError>),
    /// This is a Pod, but its service account cannot be used.
    #[error("cannot use the service account of this Pod: {0}")]
    InCluster(#[from] InClusterError),
    /// The credentials were read, but no client can be built with them.
    #[error("cannot build a client for the API server: {0}")]
    Client(#[source] Box<kube::Error>),
}

/// The client for the kubeconfig that was named, else for the one that `KUBECONFIG` names, else for the cluster that
/// this Pod runs in, else none. `~/.kube/config` is not used unasked: a gate that is tried on a laptop must not go to
/// whatever cluster its owner used last.
///
/// With it comes what its answers tell of the API server's clock.
///
/// Nothing is sent yet: that a client was built does not mean that somebody answers.
///
/// # Errors
/// When credentials were named or are there but cannot be used. Never a silent `None` for a bad file.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Option<(Client, ApiClock)>, ClientError> {
    let options = KubeConfigOptions::default();
    let mut config = if let Some(path) = kubeconfig {
        named(path, &options).await?
    } else if let Some(read) =
        Kubeconfig::from_env().map_err(|error| ClientError::Environment(Box::new(error)))?
    {
        Config::from_custom_kubeconfig(read, &options)
            .await
            .map_err(|error| ClientError::Environment(Box::new(error)))?
    } else if std::env::var_os(IN_CLUSTER).is_some() {
        Config::incluster()?
    } else {
        return Ok(None);
    };
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    let clock = ApiClock::default();
    let client = ClientBuilder::try_from(config)
        .map(|it| it.with_layer(&HeardLayer(clock.clone())).build())
        .map_err(|error| ClientError::Client(Box::new(error)))?;
    Ok(Some((client, clock)))
}

/// The client that kubectl would have: for the kubeconfig that was named, else for those that `KUBECONFIG` names, else
/// for `~/.kube/config`, else for the cluster that this Pod runs in. For commands that somebody types, and that only read.
///
/// # Errors
/// When there are no credentials, or they cannot be used.
pub async fn connect_as_kubectl(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<Client, ClientError> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let config = if let Some(path) = kubeconfig {
        named(path, &options).await?
    } else {
        match Config::from_kubeconfig(&options).await {
            Ok(config) => config,
            Err(error) => {
                let in_cluster = std::env::var_os(IN_CLUSTER).filter(|_| context.is_none());
                match in_cluster {
                    Some(_) => Config::incluster()?,
                    None => return Err(ClientError::Unnamed(Box::new(error))),
                }
            }
        }
    };
    Client::try_from(config).map_err(|error| ClientError::Client(Box::new(error)))
}

/// What a kubeconfig that was named says.
async fn named(path: &Path, options: &KubeConfigOptions) -> Result<Config, ClientError> {
    let failed = |source| ClientError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let read = Kubeconfig::read_from(path).map_err(failed)?;
    Config::from_custom_kubeconfig(read, options)
        .await
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_named_kubeconfig_that_is_not_there_is_an_error_that_names_it() {
        let Err(error) = connect(Some(Path::new("no/such/kubeconfig"))).await else {
            unreachable!("it cannot be read")
        };
        assert!(
            error
                .to_string()
                .starts_with("cannot use the kubeconfig \"no/such/kubeconfig\": "),
            "{error}"
        );
    }
}
