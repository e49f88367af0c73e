//! Property lists in XML (plist(5) of Apple's systems), as far as a configuration profile needs them.

/// One value; the keys of a dictionary keep their order.
#[derive(Clone, Debug)]
pub enum PropertyList {
    Text(String),
    Number(u32),
    Array(Vec<PropertyList>),
    Dictionary(Vec<(&'static str, PropertyList)>),
}

impl PropertyList {
    /// A whole document.
    pub fn document(&self) -> String {
        let mut text = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
             <plist version=\"1.0\">\n",
        );
        self.write(0, &mut text);
        text.push_str("</plist>\n");
        text
    }

    fn write(&self, depth: usize, out: &mut String) {
        let indent = "\t".repeat(depth);
        match self {
            PropertyList::Text(text) => out.push_str(&format!("{indent}<string>{}</string>\n", escaped(text))),
            PropertyList::Number(number) => out.push_str(&format!("{indent}<integer>{number}</integer>\n")),
            PropertyList::Array(values) => {
                out.push_str(&format!("{indent}<array>\n"));
                values.iter().for_each(|value| value.write(depth + 1, out));
                out.push_str(&format!("{indent}</array>\n"));
            }
            PropertyList::Dictionary(entries) => {
                out.push_str(&format!("{indent}<dict>\n"));
                for (key, value) in entries {
                    out.push_str(&format!("{indent}\t<key>{}</key>\n", escaped(key)));
                    value.write(depth + 1, out);
                }
                out.push_str(&format!("{indent}</dict>\n"));
            }
        }
    }
}

/// XML 1.0, 2.4: the characters that would begin markup. Control characters, which XML cannot hold, are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_each_kind() {
        let text = |text: &str| PropertyList::Text(text.to_owned());
        let inner = PropertyList::Array(vec![text("a&b<c>\u{1}d"), PropertyList::Number(1)]);
        let document = PropertyList::Dictionary(vec![("K&", inner), ("L", text("x"))]).document();
        let expected = "<plist version=\"1.0\">\n<dict>\n\t<key>K&amp;</key>\n\t<array>\n\t\t<string>a&amp;b&lt;c&gt;d</string>\n\
                        \t\t<integer>1</integer>\n\t</array>\n\t<key>L</key>\n\t<string>x</string>\n</dict>\n</plist>\n";
        assert!(document.ends_with(expected), "{document}");
        assert!(document.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist "), "{document}");
    }
}
