//! The configuration file: defaults of options, for people who would repeat them.
//!
//! A TOML file whose keys are long options. Keys at the top are for every command that has them; a table
//! of a command (`[convert]`, `[catalog.sync]`) is for that command, and one of a lake
//! (`[lake."s3://bucket/lake"]`) for commands that are given this lake. `TRAILMILL_` variables
//! (`TRAILMILL_RETRY_TIMEOUT` for `--retry-timeout`) are stronger than the file, and arguments are stronger
//! than both. Values become the defaults of clap's arguments, so they are parsed, refused and shown like
//! any other, but conflict with nothing.

use crate::cli::console::argument;
use crate::error::{Error, Result};
use clap::builder::OsStr;
use clap::{Arg, ArgAction, Command};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The file's name below the user's folder of configuration.
const NAME: &str = "trailmill/trailmill.toml";

/// Names the file; an empty value means none.
const VARIABLE: &str = "TRAILMILL_CONFIG";

/// What tables of lakes are under.
const LAKES: &str = "lake";

/// Options of which a default would do harm or make no sense.
const NOT_CONFIGURABLE: [&str; 6] = ["config", "help", "log-format", "plan", "restore", "version"];

/// Defaults by long option, each with where it is from.
type Defaults = BTreeMap<String, Default>;

#[derive(Clone, Debug)]
struct Default {
    values: Vec<String>,
    from: String,
}

/// Returns the command with the defaults of configuration file and variables.
///
/// # Errors
/// `Config` for a file that cannot be read or is not TOML, and for keys that are not options.
pub(super) fn configure(command: Command, arguments: &[OsString]) -> Result<Command> {
    let file = match find(arguments)? {
        Some(path) => File::read(&path)?,
        None => File::default(),
    };
    file.check(&command)?;
    let lake = file.of_lakes(arguments)?;
    apply(command, &[], &file, &lake)
}

/// Returns the path of the file, if there is one.
fn find(arguments: &[OsString]) -> Result<Option<PathBuf>> {
    let named = argument(arguments, "--config").or_else(|| std::env::var_os(VARIABLE));
    if let Some(path) = named {
        return Ok(Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty()));
    }
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".config"));
    let folder =
        std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let path = folder.or_else(home).map(|folder| folder.join(NAME));
    Ok(path.filter(|path| path.is_file()))
}

#[derive(Debug, Default)]
struct File {
    path: PathBuf,
    table: Table,
}

impl File {
    fn read(path: &Path) -> Result<Self> {
        let wrong = |message: &str| Error::config(message).at("configuration", path.display());
        let text = std::fs::read_to_string(path)
            .map_err(|err| wrong("cannot read the configuration file").because(err))?;
        let table = text.parse().map_err(|err: toml::de::Error| {
            wrong("the configuration file is not TOML").because(err)
        })?;
        Ok(Self { path: path.to_owned(), table })
    }

    fn refuse<T>(&self, message: String) -> Result<T> {
        Err(Error::config(message).at("configuration", self.path.display()))
    }

    /// Refuses keys that are neither an option nor a command.
    fn check(&self, command: &Command) -> Result<()> {
        let all = all_options(command);
        for (name, value) in &self.table {
            match value {
                Value::Table(lakes) if name == LAKES => {
                    for (lake, options) in lakes {
                        let Value::Table(options) = options else {
                            return self.refuse(format!("`lake.{lake}` is not a table of options"));
                        };
                        self.check_options(&format!("lake.\"{lake}\""), options, &all)?;
                    }
                }
                Value::Table(options) => match command.find_subcommand(name) {
                    Some(command) => self.check_command(name, options, command)?,
                    None => return self.refuse(format!("unknown command `{name}`")),
                },
                _ => self.check_options(
                    "",
                    &Table::from_iter([(name.clone(), value.clone())]),
                    &all,
                )?,
            }
        }
        Ok(())
    }

    fn check_command(&self, path: &str, options: &Table, command: &Command) -> Result<()> {
        let known = own_options(command);
        for (name, value) in options {
            match (value, command.find_subcommand(name)) {
                (Value::Table(options), Some(command)) => {
                    self.check_command(&format!("{path}.{name}"), options, command)?;
                }
                _ => {
                    let one = Table::from_iter([(name.clone(), value.clone())]);
                    self.check_options(path, &one, &known)?;
                }
            }
        }
        Ok(())
    }

    fn check_options(&self, path: &str, options: &Table, known: &BTreeSet<String>) -> Result<()> {
        for (name, value) in options {
            let shown = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if NOT_CONFIGURABLE.contains(&name.as_str()) {
                return self.refuse(format!("`{shown}` can only be given on the command line"));
            }
            if !known.contains(name) {
                return self.refuse(format!(
                    "unknown option `{shown}`: expected the name of an option without `--`"
                ));
            }
            if texts(value).is_none() {
                return self.refuse(format!("invalid value of `{shown}`: expected a text, a number, true, false, or a list of them"));
            }
        }
        Ok(())
    }

    /// Returns the options of lakes that are among the arguments.
    fn of_lakes(&self, arguments: &[OsString]) -> Result<Defaults> {
        let Some(Value::Table(lakes)) = self.table.get(LAKES) else { return Ok(Defaults::new()) };
        let address = |text: &str| text.trim_end_matches('/').to_owned();
        let given: BTreeSet<String> =
            arguments.iter().filter_map(|argument| argument.to_str()).map(address).collect();
        let mut out = Defaults::new();
        for (lake, options) in lakes {
            if let (Value::Table(options), true) = (options, given.contains(&address(lake))) {
                self.add(&mut out, options);
            }
        }
        Ok(out)
    }

    fn add(&self, out: &mut Defaults, options: &Table) {
        for (name, value) in options {
            if let Some(values) = texts(value) {
                let from = self.path.display().to_string();
                out.insert(name.clone(), Default { values, from });
            }
        }
    }

    /// Returns the options of a command, those of its own table last.
    fn of_command(&self, path: &[String], lake: &Defaults) -> Defaults {
        let mut out = Defaults::new();
        self.add(&mut out, &self.table);
        let mut table = Some(&self.table);
        for name in path {
            table = table.and_then(|table| table.get(name)).and_then(Value::as_table);
            if let Some(options) = table {
                self.add(&mut out, options);
            }
        }
        out.extend(lake.clone());
        out
    }
}

/// Returns a value as it would be written on the command line; `None` for a table.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Integer(number) => Some(vec![number.to_string()]),
        Value::Float(number) => Some(vec![number.to_string()]),
        Value::Boolean(flag) => Some(vec![flag.to_string()]),
        Value::Datetime(time) => Some(vec![time.to_string()]),
        Value::Array(values) => {
            let one = |value| texts(value).filter(|texts| texts.len() == 1);
            values.iter().map(one).collect::<Option<Vec<_>>>().map(|all| all.concat())
        }
        Value::Table(_) => None,
    }
}

fn own_options(command: &Command) -> BTreeSet<String> {
    command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned).collect()
}

fn all_options(command: &Command) -> BTreeSet<String> {
    let mut all = own_options(command);
    for command in command.get_subcommands() {
        all.extend(all_options(command));
    }
    all
}

/// Gives the options of a command, and of the commands below, their defaults.
fn apply(command: Command, path: &[String], file: &File, lake: &Defaults) -> Result<Command> {
    let defaults = file.of_command(path, lake);
    let options: Vec<(String, String)> = command
        .get_arguments()
        .filter(|arg| arg.get_env().is_none())
        .filter_map(|arg| Some((arg.get_id().to_string(), arg.get_long()?.to_owned())))
        .filter(|(_, long)| !NOT_CONFIGURABLE.contains(&long.as_str()))
        .collect();
    let mut command = command;
    for (id, long) in options {
        if let Some(default) = of_variable(&long).or_else(|| defaults.get(&long).cloned()) {
            let named = command.get_name().to_owned();
            let refused = std::cell::Cell::new(None);
            command = command.mut_arg(&id, |arg| {
                refused.set(refuse(&arg, &default));
                with_default(arg, &default)
            });
            if let Some(message) = refused.take() {
                let message =
                    format!("invalid value of `{long}` for `trailmill {named}`: {message}");
                return Err(Error::config(message).at("configuration", default.from));
            }
        }
    }
    let names: Vec<String> =
        command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        let path = [path, std::slice::from_ref(&name)].concat();
        let mut outcome = Ok(());
        command = command.mut_subcommand(&name, |command| {
            match apply(command.clone(), &path, file, lake) {
                Ok(command) => command,
                Err(err) => {
                    outcome = Err(err);
                    command
                }
            }
        });
        outcome?;
    }
    Ok(command)
}

fn of_variable(long: &str) -> Option<Default> {
    let name = format!("TRAILMILL_{}", long.replace('-', "_").to_uppercase());
    let text = std::env::var(&name).ok().filter(|text| !text.is_empty())?;
    Some(Default { values: vec![text], from: name })
}

/// Says why an option cannot have a value.
fn refuse(arg: &Arg, default: &Default) -> Option<String> {
    let is_flag = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse);
    let is_boolean = |text: &String| text == "true" || text == "false";
    let takes_many = matches!(arg.get_action(), ArgAction::Append);
    match default.values.as_slice() {
        [] if !takes_many => Some("expected a value".to_owned()),
        [text] if is_flag && !is_boolean(text) => Some("expected true or false".to_owned()),
        [_, _, ..] if !takes_many => Some("expected one value".to_owned()),
        _ if is_flag => None,
        values => values.iter().find_map(|text| refuse_text(arg, text)),
    }
}

/// Parses a value as the option would: a default that cannot be parsed is not expected by clap.
fn refuse_text(arg: &Arg, text: &str) -> Option<String> {
    let name = "value";
    let alone = Arg::new(name).long(name).value_parser(arg.get_value_parser().clone());
    let command = Command::new("t").no_binary_name(true).arg(alone);
    let err = command.try_get_matches_from([format!("--{name}={text}")]).err()?;
    let message = err.to_string();
    let first = message.lines().next().unwrap_or_default();
    Some(first.trim_start_matches("error: ").replace(" for '--value <value>'", ""))
}

fn with_default(arg: Arg, default: &Default) -> Arg {
    let values = default.values.iter().map(|text| OsStr::from(text.clone()));
    match arg.get_action() {
        // A count: `verbose = 2`.
        ArgAction::Count => arg.default_value(default.values.concat()),
        _ => arg.default_values(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::value_parser;

    fn command() -> Command {
        let option = |name: &'static str| Arg::new(name).long(name);
        let many = option("exclude").action(ArgAction::Append);
        let flag = option("strict").action(ArgAction::SetTrue);
        let threads = option("threads").value_parser(value_parser!(u16));
        let place = Arg::new("lake").default_value("");
        let convert = Command::new("convert").args([flag, threads, many, option("region"), place]);
        let sync = Command::new("sync").arg(option("region"));
        Command::new("t")
            .arg(option("config").global(true))
            .subcommand(convert)
            .subcommand(Command::new("catalog").subcommand(sync))
    }

    /// Returns what `region`, `threads` and `strict` are for `convert` with these arguments.
    fn run(toml: &str, arguments: &[&str]) -> Result<(Option<String>, Option<u16>, bool)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.toml");
        std::fs::write(&path, toml).unwrap();
        let mut all: Vec<OsString> =
            vec!["t".into(), "convert".into(), "--config".into(), path.into()];
        all.extend(arguments.iter().map(Into::into));
        let matches = configure(command(), &all)?.try_get_matches_from(all).unwrap();
        let matches = matches.subcommand().unwrap().1;
        Ok((
            matches.get_one("region").cloned(),
            matches.get_one("threads").copied(),
            matches.get_flag("strict"),
        ))
    }

    #[test]
    fn what_is_closer_to_the_command_is_stronger() {
        let file = "region = 'a'\nthreads = 3\n[convert]\nregion = 'b'\nstrict = true\n\
                    [catalog.sync]\nregion = 'c'\n[lake.'s3://x/y/']\nregion = 'd'\n";

        assert_eq!(run(file, &[]).unwrap(), (Some("b".into()), Some(3), true));
        assert_eq!(run(file, &["s3://x/y"]).unwrap(), (Some("d".into()), Some(3), true));
        let given = run(file, &["s3://x/y", "--region", "e", "--threads", "1"]).unwrap();
        assert_eq!(given, (Some("e".into()), Some(1), true));
    }

    #[test]
    fn whatever_is_not_an_option_is_named() {
        for (file, named) in [
            ("regoin = 'a'", "unknown option `regoin`"),
            ("[convert]\nlake = 'x'", "unknown option `convert.lake`"),
            ("[nothing]\nregion = 'x'", "unknown command `nothing`"),
            ("[lake.x]\nregoin = 'a'", "unknown option `lake.\"x\".regoin`"),
            ("[lake]\nx = 'a'", "`lake.x` is not a table"),
            ("[convert.region]\na = 1", "invalid value of `convert.region`"),
            ("config = 'x'", "only be given on the command line"),
            ("[convert]\nstrict = 'maybe'", "expected true or false"),
            ("[convert]\nregion = ['a', 'b']", "expected one value"),
            (
                "threads = 'many'",
                "invalid value of `threads` for `trailmill convert`: invalid value 'many'",
            ),
            ("region", "not TOML"),
        ] {
            let err = run(file, &[]).unwrap_err();
            let text = format!("{err}");
            assert!(text.contains(named), "{file}: {text}");
        }
    }
}
