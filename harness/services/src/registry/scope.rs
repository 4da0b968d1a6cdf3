//! Scopes: what a token is for (Docker registry token authentication, "Token scope documentation").

use std::fmt;

/// Longest repository name in bytes. The specification leaves it open and says that many clients take 255 for host and name together.
pub(super) const LONGEST_NAME: usize = 255;

/// What may be done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Pull,
    Push,
}

impl Action {
    /// The word for it in a scope.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
        }
    }
}

/// A repository and what may be done with it, written `repository:library/alpine:pull,push`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    repository: String,
    pull: bool,
    push: bool,
}

impl Scope {
    /// What it takes to do `action`. Who pushes reads too.
    pub(super) fn of(repository: &str, action: Action) -> Self {
        Self {
            repository: repository.into(),
            pull: true,
            push: action == Action::Push,
        }
    }

    /// Reads a scope; other resources than repositories and unknown actions are nobody's.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        // A name may begin with a host and its port.
        let (repository, actions) = rest.rsplit_once(':')?;
        if repository.len() > LONGEST_NAME {
            return None;
        }
        let has = |action: Action| actions.split(',').any(|word| word == action.word());
        (kind == "repository").then(|| Self {
            repository: repository.into(),
            pull: has(Action::Pull),
            push: has(Action::Push),
        })
    }

    /// The same without the right to push.
    pub(super) fn read_only(self) -> Self {
        Self {
            push: false,
            ..self
        }
    }

    /// Holding this scope is enough for `wanted`.
    pub(super) fn covers(&self, wanted: &Self) -> bool {
        self.repository == wanted.repository
            && (self.pull || !wanted.pull)
            && (self.push || !wanted.push)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let actions = [(self.pull, Action::Pull), (self.push, Action::Push)];
        let words: Vec<_> = actions
            .iter()
            .filter(|(allowed, _)| *allowed)
            .map(|(_, action)| action.word())
            .collect();
        write!(f, "repository:{}:{}", self.repository, words.join(","))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_scope_covers_its_repository_and_no_more() {
        let both = Scope::parse("repository:a/b:pull,push").unwrap();
        let pull = Scope::parse("repository:a/b:pull").unwrap();
        assert_eq!(both, Scope::of("a/b", Action::Push));
        assert_eq!(both.clone().read_only(), pull);
        assert!(both.covers(&pull) && !pull.covers(&both));
        assert!(!Scope::of("a", Action::Push).covers(&pull));
        let port = Scope::parse("repository:host:5000/a:pull").unwrap();
        assert_eq!(port, Scope::of("host:5000/a", Action::Pull));
        let useless = Scope::parse("repository:a/b:delete").unwrap();
        assert!(!useless.covers(&pull));
        for text in ["", "repository", "repository:a", "registry:catalog:*"] {
            assert_eq!(Scope::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(name in "[a-z/:]{1,9}", push: bool) {
            let action = if push { Action::Push } else { Action::Pull };
            let scope = Scope::of(&name, action);
            prop_assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
        }

        #[test]
        fn any_text_is_a_scope_or_not(text in "\\PC{0,20}") {
            let _ = Scope::parse(&text);
        }
    }
}
