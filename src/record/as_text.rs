//! Serialises names, types, questions and response codes as their presentation text.

use serde::{Serialize, Serializer};

use super::{Name, Question, Rcode, Rtype};

macro_rules! as_text {
    ($($type:ty),*) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        })*
    };
}

as_text!(Name, Rtype, Question, Rcode);
