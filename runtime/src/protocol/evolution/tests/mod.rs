//! What is done to stored values, and every refusal with its whole message.

mod stages;
mod values;

use crate::schema::Schema;

const INTEGER: &str = "an integer may become a wider one; anything else needs a `Migration`";

fn plain(name: &str) -> Schema {
    Schema::plain(name)
}

fn of(name: &str, fields: &[(&str, &str)]) -> Schema {
    let fields = fields.iter().map(|(name, of)| (*name, plain(of)));
    Schema::of_fields(name, fields)
}

fn options(name: &str, variants: &[&str]) -> Schema {
    let variants = variants.iter().map(|v| ((*v).to_owned(), Vec::new()));
    Schema::Enum(name.to_owned(), variants.collect())
}
