//! The next command that a failure tells, completed with what this one was about: whoever deploys to Scaleway is not to be
//! led to the stack `dev` of a local cloud.

/// Commands that are about a stack, and never about its foundation.
const COMMANDS: [&str; 5] = ["up", "preview", "refresh", "destroy", "rotate"];
/// Those about either, with a second word; and the one without.
const GROUPS: [&str; 3] = ["state", "lock", "audit"];
const PULUMI: &str = "pulumi";

/// The word for the foundation.
const FOUNDATION: &str = "--foundation";

/// The words of a command line that name a stack: `--stack prod --target scaleway`; none where it names none.
pub(super) fn words(arguments: impl IntoIterator<Item = String>) -> String {
    let mut named = Vec::new();
    let mut arguments = arguments.into_iter().take_while(|word| word != "--");
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--stack" | "--target" => named.extend([Some(word), arguments.next()].into_iter().flatten()),
            FOUNDATION => named.push(word),
            _ if word.starts_with("--stack=") || word.starts_with("--target=") => named.push(word),
            _ => {}
        }
    }
    named.join(" ")
}

/// A text whose commands name the stack: those that name none get these words.
pub(super) fn complete(text: &str, words: &str) -> String {
    let of_the_stack: Vec<&str> = words.split(' ').filter(|word| !word.is_empty() && *word != FOUNDATION).collect();
    let of_the_stack = of_the_stack.join(" ");
    let mut parts = text.split("stackproof ");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        told.push_str("stackproof ");
        let command = part.find(['`', '\n', ':', ';']).map_or(part, |end| &part[..end]);
        let words = if COMMANDS.iter().any(|name| part.starts_with(name)) { &of_the_stack } else { words };
        match length_of_name(part) {
            Some(length) if !words.is_empty() && !command.contains("--stack") => {
                told.push_str(&format!("{} {words}{}", &part[..length], &part[length..]));
            }
            _ => told.push_str(part),
        }
    }
    told
}

/// How many bytes of a text are the name of a command about a stack.
fn length_of_name(text: &str) -> Option<usize> {
    let word = |text: &str| text.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(text.len());
    let first = word(text);
    if COMMANDS.contains(&&text[..first]) || &text[..first] == PULUMI {
        return Some(first);
    }
    let rest = text[first..].strip_prefix(' ').filter(|_| GROUPS.contains(&&text[..first]))?;
    let second = word(rest);
    (second > 0).then_some(first + 1 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn what_names_a_stack_is_taken_from_the_command_line() {
        assert_eq!(
            words(line("stackproof up --wait 10m --stack prod --target=scaleway")),
            "--stack prod --target=scaleway"
        );
        assert_eq!(words(line("stackproof state verify --foundation")), "--foundation");
        assert_eq!(words(line("stackproof pulumi -- stack ls --stack other")), "");
        assert_eq!(words(line("stackproof up --stack")), "--stack");
    }

    #[test]
    fn commands_are_told_for_the_same_stack() {
        let told = |text: &str| complete(text, "--stack prod");
        assert_eq!(told("next: stackproof lock status"), "next: stackproof lock status --stack prod");
        assert_eq!(
            told("`stackproof lock break --holder 1 --reason …`, or `stackproof up`."),
            "`stackproof lock break --stack prod --holder 1 --reason …`, or `stackproof up --stack prod`."
        );
        for whole in [
            "stackproof up --stack other: again",
            "stackproof doctor",
            "stackproof state",
            "the stackproof up",
            "ümläut",
        ] {
            let expected = if whole == "the stackproof up" { "the stackproof up --stack prod" } else { whole };
            assert_eq!(told(whole), expected);
        }
        assert_eq!(complete("stackproof up", ""), "stackproof up");
    }

    #[test]
    fn what_is_never_about_the_foundation_is_not_told_for_it() {
        let told = |text: &str| complete(text, "--stack prod --foundation");
        assert_eq!(told("stackproof preview --refresh"), "stackproof preview --stack prod --refresh");
        assert_eq!(told("stackproof state verify"), "stackproof state verify --stack prod --foundation");
        assert_eq!(told("stackproof pulumi -- stack ls"), "stackproof pulumi --stack prod --foundation -- stack ls");
        assert_eq!(complete("stackproof up", "--foundation"), "stackproof up");
    }
}
