//! What `bench export-slow` measures beside an export, and without.

use std::fmt;

use crate::goals::{Comparison, Measure};

/// Some load, with an export under way or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    pub(super) beside_export: bool,
}

/// What other clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Pages of a list, at a fixed rate.
    Page,
    /// Single entries, at a fixed rate.
    Post,
    /// The two together.
    Both,
    /// As many entries as 32 connections can record, which moves heads of logs.
    Record,
}

impl Kind {
    pub(super) const fn beside(self, beside_export: bool) -> Subject {
        Subject { kind: self, beside_export }
    }
}

impl Subject {
    /// In the order of the table.
    pub(super) const ALL: [Self; 8] = [
        Kind::Page.beside(false),
        Kind::Page.beside(true),
        Kind::Post.beside(false),
        Kind::Post.beside(true),
        Kind::Both.beside(false),
        Kind::Both.beside(true),
        Kind::Record.beside(false),
        Kind::Record.beside(true),
    ];
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Page => "GET of a page, fixed rate",
            Kind::Post => "POST, fixed rate",
            Kind::Both => "both, fixed rate",
            Kind::Record => "POST, 32 connections",
        };
        let beside = if self.beside_export { ", beside the export" } else { "" };
        write!(f, "{kind}{beside}")
    }
}

/// Every comparison, in the order of the table.
pub(super) const COMPARISONS: [Comparison<Subject>; 4] = [
    beside(Kind::Page, Measure::P99),
    beside(Kind::Post, Measure::P99),
    beside(Kind::Both, Measure::P99).at_most(1.5),
    beside(Kind::Record, Measure::Rate).at_least(0.9),
];

const fn beside(kind: Kind, measure: Measure) -> Comparison<Subject> {
    Comparison { of: kind.beside(true), with: Some(kind.beside(false)), measure, goal: None }
}
