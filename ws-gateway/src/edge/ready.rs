//! The line that says that every listener is up, and where.

use std::io::Write as _;
use std::net::SocketAddr;

/// The listeners by their names in the settings.
#[derive(Clone, Debug, Default)]
pub struct Bound(pub Vec<(&'static str, SocketAddr)>);

impl Bound {
    /// Remembers a listener.
    pub fn add(&mut self, name: &'static str, address: SocketAddr) {
        self.0.push((name, address));
    }

    /// Where a listener listens.
    pub fn of(&self, name: &str) -> Option<SocketAddr> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, address)| *address)
    }

    /// `ready http=127.0.0.1:8080 sip=127.0.0.1:5060 …`
    pub fn line(&self) -> String {
        self.0.iter().fold("ready".to_owned(), |line, (name, address)| format!("{line} {name}={address}"))
    }

    /// Prints the line on standard output, and into the descriptor if one is named.
    pub fn announce(&self, descriptor: Option<u32>) {
        let line = self.line();
        // Nobody may be listening on standard output: that is no reason to stop.
        let _ = writeln!(std::io::stdout(), "{line}").and_then(|()| std::io::stdout().flush());
        if let Some(descriptor) = descriptor {
            let told =
                std::fs::OpenOptions::new().write(true).open(format!("/dev/fd/{descriptor}")).and_then(|mut file| writeln!(file, "{line}"));
            if let Err(error) = told {
                tracing::warn!(descriptor, %error, "cannot write the ready line to the descriptor");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_every_listener() {
        let mut bound = Bound::default();
        bound.add("http", "127.0.0.1:8080".parse().unwrap());
        bound.add("sip", "[::1]:5060".parse().unwrap());
        assert_eq!(bound.line(), "ready http=127.0.0.1:8080 sip=[::1]:5060");
    }
}
