//! What `dgdr-operator run` can be told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use dgdr_types::ImageReference;
use dgdr_units::Gpus;

use crate::access::{WEBHOOK_CONFIGURATION, WEBHOOK_SECRET};
use crate::admission::{AdmissionOptions, Certificates, Policy, SelfMade};
use crate::decision::Deadlines;
use crate::discovery::DEFAULT_GPU_CAP;
use crate::inline::UnknownModels;
use crate::profiling_job::ProfilerProgram;

/// Image of the operator of this version, as it is built from `deploy/containers`.
const OPERATOR_IMAGE: &str = concat!("dgdr-operator:", env!("CARGO_PKG_VERSION"));
/// Image of the profiler of this version, as it is built from `deploy/containers`.
const PROFILER_IMAGE: &str = concat!("dgdr-profiler:", env!("CARGO_PKG_VERSION"));

/// Service of the webhook, as `deploy` names it.
const WEBHOOK_SERVICE: &str = "dgdr-operator-webhook";

/// Settings of the controller; each may come from the environment.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// Watch this namespace only; without it, all of them.
    #[arg(long, env = "DGDR_OPERATOR_NAMESPACE")]
    pub namespace: Option<String>,
    /// Who simulates a request with `searchStrategy: rapid`.
    #[arg(long, env = "DGDR_OPERATOR_RAPID", value_enum, default_value_t = RapidMode::Job)]
    pub rapid: RapidMode,
    /// With `--rapid=inline`: what is done about models that the operator does not know by itself.
    #[arg(long, env = "DGDR_OPERATOR_UNKNOWN_MODELS", value_enum, default_value_t)]
    pub unknown_models: UnknownModels,
    /// Image of this operator, which also collects the results of profiling Jobs.
    #[arg(long, env = "DGDR_OPERATOR_IMAGE", default_value = OPERATOR_IMAGE)]
    pub operator_image: ImageReference,
    /// Image of the profiler.
    #[arg(long, env = "DGDR_OPERATOR_PROFILER_IMAGE", default_value = PROFILER_IMAGE)]
    pub profiler_image: ImageReference,
    /// Which program profiles: `native` runs `dgdr-profiler` from the profiler's image, `upstream` runs
    /// `python -m dynamo.profiler` from the image of the request.
    #[arg(long, env = "DGDR_OPERATOR_PROFILER_PROGRAM", value_enum, default_value_t = ProgramChoice::Native)]
    pub profiler_program: ProgramChoice,
    /// ClusterRole that profiling Jobs are bound to in the namespace of their request. With `--namespace` the chart binds
    /// a Role instead.
    #[arg(
        long,
        env = "DGDR_OPERATOR_PROFILING_CLUSTER_ROLE",
        default_value = "dgdr-operator-profiling"
    )]
    pub profiling_cluster_role: String,
    /// Where GPUs are discovered.
    #[arg(long, env = "DGDR_OPERATOR_GPU_DISCOVERY", value_enum, default_value_t = DiscoverySource::Auto)]
    pub gpu_discovery: DiscoverySource,
    /// Most GPUs that a request without `totalGpus` is planned with.
    #[arg(long, env = "DGDR_OPERATOR_GPU_CAP", default_value_t = DEFAULT_GPU_CAP.get())]
    pub gpu_cap: u32,
    /// How long a request waits for what it lacks: a volume, free GPUs.
    #[arg(long, env = "DGDR_OPERATOR_PENDING_DEADLINE", value_parser = duration, default_value = "15m")]
    pub pending_deadline: Duration,
    /// How long profiling may take.
    #[arg(long, env = "DGDR_OPERATOR_PROFILING_DEADLINE", value_parser = duration, default_value = "24h")]
    pub profiling_deadline: Duration,
    /// After how long a deployment that does not serve is called late.
    #[arg(long, env = "DGDR_OPERATOR_DEPLOYING_DEADLINE", value_parser = duration, default_value = "2h")]
    pub deploying_deadline: Duration,
    /// Variables that profilers get, as `NAME=VALUE`, for example `PROMETHEUS_ENDPOINT=http://…`.
    #[arg(long = "profiler-env", env = "DGDR_OPERATOR_PROFILER_ENV", value_delimiter = ',', value_parser = variable)]
    pub profiler_env: Vec<(String, String)>,
    /// Where metrics are served.
    #[arg(long, env = "DGDR_OPERATOR_METRICS_ADDRESS", default_value = "0.0.0.0:8080")]
    pub metrics_address: SocketAddr,
    /// Where probes are answered.
    #[arg(long, env = "DGDR_OPERATOR_HEALTH_ADDRESS", default_value = "0.0.0.0:8081")]
    pub health_address: SocketAddr,
    /// Where the admission webhook is served, over HTTPS; without it, there is none.
    #[arg(long, env = "DGDR_OPERATOR_WEBHOOK_ADDRESS")]
    pub webhook_address: Option<SocketAddr>,
    /// Certificate of the webhook: `self` makes one, shares it in a secret and has the API server trust it; else a folder
    /// with `tls.crt` and `tls.key`, as cert-manager's secret.
    #[arg(long, env = "DGDR_OPERATOR_WEBHOOK_CERTIFICATES", default_value = "self")]
    pub webhook_certificates: String,
    /// Image that the webhook gives a new request without one. Without it, such a request gets the siblings of the image
    /// that the profiler knows.
    #[arg(long, env = "DGDR_OPERATOR_DEFAULT_IMAGE")]
    pub default_image: Option<ImageReference>,
    /// Name of the Service in front of the webhook, in the operator's namespace.
    #[arg(long, env = "DGDR_OPERATOR_WEBHOOK_SERVICE", default_value = WEBHOOK_SERVICE)]
    pub webhook_service: String,
    /// Act only while holding the lease, so that several replicas may run.
    #[arg(
        long,
        env = "DGDR_OPERATOR_LEADER_ELECTION",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub leader_election: bool,
    /// Namespace of the lease: that of the operator.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub pod_namespace: String,
    /// Name under which this process holds the lease: that of its pod.
    #[arg(long, env = "POD_NAME", default_value = "dgdr-operator")]
    pub pod_name: String,
    /// Form of the log.
    #[arg(long, env = "DGDR_OPERATOR_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
    /// Requests that are worked on at the same time.
    #[arg(long, env = "DGDR_OPERATOR_WORKERS", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub workers: u16,
}

impl Settings {
    /// How long phases may last.
    pub const fn deadlines(&self) -> Deadlines {
        Deadlines {
            pending: self.pending_deadline,
            profiling: self.profiling_deadline,
            deploying: self.deploying_deadline,
        }
    }

    /// How the admission webhook is served; none where it is not.
    pub fn admission(&self) -> Option<AdmissionOptions> {
        let certificates = match self.webhook_certificates.as_str() {
            "self" => Certificates::SelfMade(SelfMade {
                namespace: self.pod_namespace.clone(),
                service: self.webhook_service.clone(),
                secret: WEBHOOK_SECRET.to_owned(),
                configuration: WEBHOOK_CONFIGURATION.to_owned(),
            }),
            folder => Certificates::Directory(PathBuf::from(folder)),
        };
        Some(AdmissionOptions {
            address: self.webhook_address?,
            certificates,
            policy: Policy {
                default_image: self.default_image.clone(),
                discovers_gpus: self.gpu_discovery != DiscoverySource::Off,
            },
        })
    }

    /// Most GPUs that a request without `totalGpus` is planned with.
    pub const fn gpu_cap(&self) -> Gpus {
        Gpus::new(self.gpu_cap)
    }
}

/// Who simulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RapidMode {
    /// A Job, as upstream.
    Job,
    /// The operator itself, without a pod.
    Inline,
}

/// Which program profiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgramChoice {
    /// `dgdr-profiler`.
    Native,
    /// `python -m dynamo.profiler`.
    Upstream,
}

impl From<ProgramChoice> for ProfilerProgram {
    fn from(choice: ProgramChoice) -> Self {
        match choice {
            ProgramChoice::Native => Self::Native,
            ProgramChoice::Upstream => Self::Upstream,
        }
    }
}

/// Where GPUs are discovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiscoverySource {
    /// By the labels of nodes where they may be read, else by the DCGM exporter.
    Auto,
    /// By the labels of GPU Feature Discovery.
    Nodes,
    /// By the metrics of the DCGM exporter.
    Dcgm,
    /// Nowhere: requests must say what there is.
    Off,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A length of time such as `15m`, `24h` or `90s`.
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = jiff::SignedDuration::from_str(text).map_err(|error| error.to_string())?;
    let length = Duration::try_from(parsed).map_err(|_| format!("{text} lies in the past"))?;
    if length.is_zero() {
        return Err("a deadline of no time lets nothing succeed".to_owned());
    }
    Ok(length)
}

fn variable(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text:?} is not of the form NAME=VALUE"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::{Certificates, RapidMode, Settings};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        settings: Settings,
    }

    fn parse(arguments: &[&str]) -> Result<Settings, clap::Error> {
        let all = std::iter::once("run").chain(arguments.iter().copied());
        Cli::try_parse_from(all).map(|cli| cli.settings)
    }

    #[test]
    fn settings_are_read_once() {
        let settings = parse(&[
            "--rapid=inline",
            "--profiling-deadline=90m",
            "--profiler-env",
            "A=b=c,D=",
            "--namespace=team",
        ])
        .unwrap();
        assert_eq!(settings.rapid, RapidMode::Inline);
        assert_eq!(settings.deadlines().profiling, Duration::from_mins(90));
        assert_eq!(
            settings.profiler_env,
            [
                ("A".to_owned(), "b=c".to_owned()),
                ("D".to_owned(), String::new())
            ]
        );
        assert_eq!(settings.namespace.as_deref(), Some("team"));
    }

    #[test]
    fn the_webhook_is_served_where_it_has_an_address() {
        assert!(parse(&[]).unwrap().admission().is_none());
        let address = "--webhook-address=127.0.0.1:9443";
        let options = parse(&[address, "--gpu-discovery=off"])
            .unwrap()
            .admission()
            .unwrap();
        assert!(!options.policy.discovers_gpus);
        assert!(matches!(options.certificates, Certificates::SelfMade(_)));
        let mounted = parse(&[address, "--webhook-certificates=/certificates"]).unwrap();
        let options = mounted.admission().unwrap();
        assert!(
            matches!(options.certificates, Certificates::Directory(folder) if folder.ends_with("certificates"))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            ["--pending-deadline=0s"],
            ["--pending-deadline=soon"],
            ["--pending-deadline=-5m"],
            ["--profiler-env==x"],
            ["--workers=0"],
            ["--operator-image=UPPER CASE"],
        ] {
            assert!(parse(&arguments).is_err(), "{arguments:?}");
        }
    }
}
