//! What holds at one place of a manifest.

use roxmltree::Node;
use url::Url;

use super::super::{ADDRESS_BYTES_MAX, damaged, resolve};
use crate::SourceError;

pub(super) fn elements<'a, 'i: 'a>(
    parent: Node<'a, 'i>,
    name: &'a str,
) -> impl Iterator<Item = Node<'a, 'i>> {
    parent.children().filter(move |node| node.is_element() && node.tag_name().name() == name)
}

pub(super) fn element<'a, 'i: 'a>(parent: Node<'a, 'i>, name: &'a str) -> Option<Node<'a, 'i>> {
    elements(parent, name).next()
}

/// What holds at one place of the tree: each level adds to what is above (5.3.9.1, 5.6).
#[derive(Clone)]
pub(super) struct Scope<'a, 'i> {
    pub(super) base: Url,
    /// The elements that tell where the segments are, the innermost first.
    told: Vec<Node<'a, 'i>>,
    /// The elements above, the innermost first.
    above: Vec<Node<'a, 'i>>,
    pub(super) protected: bool,
}

impl<'a, 'i: 'a> Scope<'a, 'i> {
    pub(super) fn root(base: &Url) -> Self {
        Self { base: base.clone(), told: Vec::new(), above: Vec::new(), protected: false }
    }

    pub(super) fn within(&self, node: Node<'a, 'i>) -> Result<Self, SourceError> {
        let base = match element(node, "BaseURL").and_then(|base| base.text()) {
            Some(text) => resolve(&self.base, text)?,
            None => self.base.clone(),
        };
        let told = ["SegmentTemplate", "SegmentList", "SegmentBase"].into_iter();
        let own = told.filter_map(|name| element(node, name));
        let told = own.chain(self.told.iter().copied()).collect();
        let above = [node].into_iter().chain(self.above.iter().copied()).collect();
        Ok(Self {
            base,
            told,
            above,
            protected: self.protected || element(node, "ContentProtection").is_some(),
        })
    }

    /// An attribute of the nearest element that has it.
    pub(super) fn attribute(&self, name: &str) -> Option<&'a str> {
        self.above.iter().find_map(|node| node.attribute(name))
    }

    /// The innermost kind of addressing.
    pub(super) fn kind(&self) -> Option<&'a str> {
        self.told.first().map(|node| node.tag_name().name())
    }

    /// The elements of that kind, the innermost first.
    pub(super) fn same(&self) -> impl Iterator<Item = Node<'a, 'i>> {
        let kind = self.kind();
        self.told.iter().copied().filter(move |node| Some(node.tag_name().name()) == kind)
    }

    pub(super) fn setting(&self, name: &str) -> Option<&'a str> {
        self.same().find_map(|node| node.attribute(name))
    }

    pub(super) fn number(&self, name: &str, otherwise: u64) -> Result<u64, SourceError> {
        self.setting(name).map_or(Ok(otherwise), |text| {
            text.trim().parse().map_err(|_| damaged(format!("@{name} is no number")))
        })
    }

    pub(super) fn part(&self, name: &'a str) -> Option<Node<'a, 'i>> {
        self.same().find_map(|node| element(node, name))
    }
}

/// Fills in a template (5.3.9.4.4).
pub(super) fn fill(
    template: &str,
    scope: &Scope<'_, '_>,
    number: u64,
    time: u64,
) -> Result<String, SourceError> {
    let wrong = || damaged("a template is none");
    if template.len() > ADDRESS_BYTES_MAX {
        return Err(wrong());
    }
    let mut filled = String::new();
    let mut parts = template.split('$');
    filled.push_str(parts.next().unwrap_or_default());
    while let Some(name) = parts.next() {
        let behind = parts.next().ok_or_else(wrong)?;
        let (name, width) = match name.split_once("%0") {
            Some((name, format)) => {
                let width = format.strip_suffix('d').and_then(|width| width.parse::<usize>().ok());
                (name, width.filter(|width| *width <= 32).ok_or_else(wrong)?)
            }
            None => (name, 1),
        };
        match name {
            "" => filled.push('$'),
            "RepresentationID" => filled.push_str(scope.attribute("id").unwrap_or_default()),
            "Number" => filled.push_str(&format!("{number:0width$}")),
            "Time" => filled.push_str(&format!("{time:0width$}")),
            "Bandwidth" => {
                let bandwidth: u64 =
                    scope.attribute("bandwidth").unwrap_or("0").parse().map_err(|_| wrong())?;
                filled.push_str(&format!("{bandwidth:0width$}"));
            }
            _ => return Err(wrong()),
        }
        filled.push_str(behind);
    }
    Ok(filled)
}
