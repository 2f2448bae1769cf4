//! What podgate reads of a Pod: bytes become a borrowed [`PodView`], and everything about where a field sits,
//! who inherits what and how a value is changed is decided here and nowhere else.

pub mod edit;
pub mod effective;
pub mod json;
pub mod kind;
pub mod listed;
pub mod object;
pub mod text;
pub mod view;
pub mod volume;

pub use edit::{Change, Edit, Place};
pub use kind::Kind;
pub use text::Text;
pub use view::{Container, ContainerList, ContainerRef, PodView};
