//! `cairn man`: the manual pages, made from the definition of the commands and from the table of keys.
//!
//! There is a page for each command, and cairn.toml(5) for the configuration file. The pages come from the same tables as the
//! commands, so they cannot differ from the program.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::exit_code::{FAILED, GOOD, MISTAKE};
use super::terminal::{complain, say};
use crate::config::{KeyReference, SectionReference, reference};

const EXAMPLES: &str = "\
Examples:
  cairn man                                the page of `cairn` itself
  cairn man cache flush                    the page of a command
  cairn man cairn.toml                     every key of the configuration file
  cairn man --to /usr/local/share/man      all pages, in man1 and man5 below a folder

To read one without installing it:
  man -l <(cairn man explain)";

/// The page of the configuration file, and its section of the manual.
const CONFIG_PAGE: &str = "cairn.toml";

/// Print a manual page, or write all of them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ManArgs {
    /// The command whose page is printed, such as `cache flush`; or cairn.toml, for the configuration file
    #[arg(value_name = "COMMAND", conflicts_with = "to")]
    page: Vec<String>,
    /// Write all pages into man1 and man5 below this folder
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs, program: clap::Command) -> u8 {
    let pages = match pages(program) {
        Ok(pages) => pages,
        Err(error) => {
            complain!("cairn: {error}");
            return FAILED;
        }
    };
    if let Some(folder) = &args.to {
        return write_all(&pages, folder);
    }
    let asked = if args.page == [CONFIG_PAGE] { CONFIG_PAGE.to_owned() } else { page_name(&args.page) };
    match pages.iter().find(|page| page.name == asked) {
        Some(page) => {
            say!("{}", page.text.trim_end());
            GOOD
        }
        None => {
            complain!("cairn: there is no command `{}`; `cairn --help` lists them", args.page.join(" "));
            MISTAKE
        }
    }
}

fn page_name(words: &[String]) -> String {
    ["cairn"].into_iter().chain(words.iter().map(String::as_str)).collect::<Vec<_>>().join("-")
}

/// A page as troff, and the name under which it is installed.
struct Page {
    name: String,
    section: char,
    text: String,
}

fn pages(program: clap::Command) -> io::Result<Vec<Page>> {
    let mut program = program;
    program.build();
    let mut pages = Vec::new();
    command_pages(&program, "cairn", &mut pages)?;
    pages.push(Page { name: CONFIG_PAGE.to_owned(), section: '5', text: configuration_page() });
    Ok(pages)
}

/// The page of a command, and those of the commands below it.
fn command_pages(command: &clap::Command, name: &str, pages: &mut Vec<Page>) -> io::Result<()> {
    let shown = command.clone().display_name(name.to_owned()).bin_name(name.replace('-', " "));
    let mut text = Vec::new();
    let version = env!("CARGO_PKG_VERSION");
    let man = Man::new(shown).title(name.to_uppercase()).section("1").source(format!("cairn {version}")).manual("Cairn");
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut text)?;
    }
    after_help(command, &mut text)?;
    see_also(command, name, &mut text)?;
    pages.push(Page { name: name.to_owned(), section: '1', text: String::from_utf8(text).map_err(io::Error::other)? });
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        command_pages(below, &format!("{name}-{}", below.get_name()), pages)?;
    }
    Ok(())
}

/// The examples stand as they are, with their columns.
fn after_help(command: &clap::Command, out: &mut dyn Write) -> io::Result<()> {
    let Some(help) = command.get_after_help() else { return Ok(()) };
    let help = help.to_string();
    let (heading, rest) = help.split_once(":\n").unwrap_or(("Notes", &help));
    let mut roff = Roff::default();
    roff.control("SH", [heading.to_uppercase().as_str()]);
    roff.control("nf", []);
    for line in rest.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.to_writer(out)
}

fn see_also(command: &clap::Command, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut others = Vec::new();
    others.extend(name.rsplit_once('-').map(|(above, _)| (above.to_owned(), '1')));
    others
        .extend(command.get_subcommands().filter(|below| !below.is_hide_set()).map(|below| (format!("{name}-{}", below.get_name()), '1')));
    others.push((CONFIG_PAGE.to_owned(), '5'));
    let mut roff = Roff::default();
    roff.control("SH", ["SEE ALSO"]);
    roff.text(references(&others));
    roff.to_writer(out)
}

fn references(others: &[(String, char)]) -> Vec<Inline> {
    let mut line = Vec::new();
    for (name, section) in others {
        line.extend((!line.is_empty()).then(|| roman(", ")));
        line.extend([bold(name), roman(format!("({section})"))]);
    }
    line
}

fn configuration_page() -> String {
    let mut roff = Roff::default();
    roff.control("TH", [&*CONFIG_PAGE.to_uppercase(), "5", "", concat!("cairn ", env!("CARGO_PKG_VERSION")), "Cairn"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{CONFIG_PAGE} - configuration of the DNS resolver cairn"))]);
    roff.control("SH", ["DESCRIPTION"]);
    for paragraph in [
        "A file in TOML. Every key has a default, and without a file all defaults hold. The file is the one that --config names, \
         else /etc/cairn/cairn.toml.",
        "A duration is a number of seconds, or text such as \"90s\", \"10m\" or \"2d\". A size is a number of bytes, or text such as \
         \"64MiB\". A domain name may end in a dot or not. A relative path starts at the folder of the file.",
        "`cairn check` reports mistakes, `cairn config show` prints every setting and where it came from, and `cairn reload` \
         makes the server read the file again.",
    ] {
        roff.control("PP", []);
        roff.text([roman(paragraph)]);
    }
    for section in reference() {
        section_of_keys(&section, &mut roff);
    }
    roff.control("SH", ["FILES"]);
    for (path, what) in [
        ("/etc/cairn/cairn.toml", "the configuration file"),
        ("/etc/cairn/zones/NAME.zone", "master files of hosted zones, where there is no other zones folder"),
        ("/var/lib/cairn", "the state folder, where it exists and state-dir does not name another"),
    ] {
        roff.control("TP", []);
        roff.text([italic(path)]);
        roff.text([roman(what)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text(references(&[("cairn".to_owned(), '1'), ("cairn-check".to_owned(), '1'), ("cairn-config-show".to_owned(), '1')]));
    roff.to_roff()
}

fn section_of_keys(section: &SectionReference, roff: &mut Roff) {
    roff.control("SH", [section.header.as_str()]);
    for KeyReference { key, default, doc, why, expected } in &section.keys {
        roff.control("TP", []);
        roff.text([bold(*key), roman(" = "), italic(expected)]);
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        roff.text([roman(format!("{doc}{why}."))]);
        roff.control("br", []);
        roff.text([roman(format!("Default: {default}"))]);
    }
}

fn write_all(pages: &[Page], folder: &Path) -> u8 {
    for Page { name, section, text } in pages {
        let folder = folder.join(format!("man{section}"));
        let file = folder.join(format!("{name}.{section}"));
        if let Err(error) = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, text)) {
            complain!("cairn: {}: {error}", file.display());
            return FAILED;
        }
    }
    say!("{} pages below {}", pages.len(), folder.display());
    GOOD
}
