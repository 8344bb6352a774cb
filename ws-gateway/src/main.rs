//! The commands of the gateway.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use ws_gateway::accounts::{self, NewUser};
use ws_gateway::config::{EXAMPLE, Flags, Settings};
use ws_gateway::edge::{self, StartError};
use ws_gateway::store::Sqlite;

/// Exit status for settings and flags that cannot be used.
const USAGE: u8 = 2;

/// Tandem: a messaging gateway for browsers and SIP phones
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// Settings file, TOML
    #[arg(long, global = true, value_name = "FILE", env = "TANDEM_CONFIG")]
    config: Option<PathBuf>,
    /// Where everything is kept
    #[arg(long, global = true, value_name = "DIR", env = "TANDEM_DATA_DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway
    Serve(Box<Flags>),
    /// Changes accounts, also while a gateway runs on the same data directory
    #[command(subcommand)]
    User(User),
    /// Says things about settings
    #[command(subcommand)]
    Config(Config),
}

#[derive(Debug, Subcommand)]
enum User {
    /// Adds an account
    Add {
        /// The primary address, such as sip:alice@rcs.test
        address: String,
        /// The password; `-` reads it from standard input
        #[arg(long, env = "TANDEM_USER_PASSWORD", hide_env_values = true)]
        password: String,
        /// Telephone number, such as +15550100; may be given several times
        #[arg(long = "tel", value_name = "NUMBER")]
        tel: Vec<String>,
        /// The name that others see
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Lists the accounts
    List,
    /// Sets a new password, which ends the user's sessions
    Passwd {
        address: String,
        /// The password; `-` reads it from standard input
        #[arg(long, env = "TANDEM_USER_PASSWORD", hide_env_values = true)]
        password: String,
    },
    /// Removes an account and its messages
    Remove { address: String },
    /// Adds the accounts of a file with the columns address,password,tel,name; all of them or none
    Import { file: PathBuf },
}

#[derive(Debug, Subcommand)]
enum Config {
    /// Prints a settings file with every setting explained
    Example,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ws-gateway: {}", explain(&error));
            ExitCode::from(status(&error))
        }
    }
}

/// The error with its causes, each said once: our own errors quote theirs.
fn explain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

fn status(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<StartError>() {
        return error.status();
    }
    if error.is::<ws_gateway::config::ConfigError>() { USAGE } else { 1 }
}

fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Serve(flags) => serve(Settings::load(cli.config.as_deref(), cli.data_dir, *flags)?),
        Command::User(command) => user(command, Settings::data_dir(cli.config.as_deref(), cli.data_dir)?),
        Command::Config(Config::Example) => {
            print!("{EXAMPLE}");
            Ok(())
        }
    }
}

fn serve(settings: Settings) -> Result<()> {
    edge::start_logs(&settings.log, settings.log_format).map_err(anyhow::Error::msg)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // With few cores one thread does more than several that wake each other.
    let runtime = match cores {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        _ => tokio::runtime::Builder::new_multi_thread().worker_threads(cores).enable_all().build(),
    };
    runtime.context("cannot start the runtime")?.block_on(async {
        // As a task, it runs on a worker beside the connections rather than on the thread that waits for it.
        tokio::spawn(edge::serve(settings)).await.context("the gateway failed")?.map_err(anyhow::Error::from)
    })
}

fn user(command: User, data_dir: PathBuf) -> Result<()> {
    let store = Sqlite::open(&data_dir)?;
    match command {
        User::Add { address, password, tel, name } => {
            accounts::add(&store, &NewUser { address: address.clone(), password: secret(password)?, others: tel, name })?;
            println!("added {address}");
        }
        User::List => {
            for account in accounts::list(&store)? {
                let addresses: Vec<String> = account.addresses.iter().map(ToString::to_string).collect();
                println!("{}\t{}", addresses.join(" "), account.display_name);
            }
        }
        User::Passwd { address, password } => {
            accounts::passwd(&store, &address, &secret(password)?)?;
            println!("changed the password of {address}");
        }
        User::Remove { address } => {
            let account = accounts::remove(&store, &address)?;
            println!("removed {}", account.primary());
        }
        User::Import { file } => {
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let count = accounts::import(&store, &text)?;
            println!("added {count} accounts");
        }
    }
    Ok(())
}

/// The password as given, or from standard input, where it is not seen in the list of processes.
fn secret(given: String) -> Result<String> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("cannot read the password from standard input")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
