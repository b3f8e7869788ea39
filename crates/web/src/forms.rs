//! Reading posted forms.

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;

use crate::{Problem, WebError};

/// The fields of a posted form, trimmed; an empty field is as if it were absent.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// A field's text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// A field's text, also an empty one; `None` when the form has no such field.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// Every value of a field that stands in the form more than once.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// A field that has to be there.
    ///
    /// # Errors
    /// When it is empty.
    pub fn need(&self, name: &str, words: &str) -> Result<&str, WebError> {
        self.get(name).ok_or_else(|| refused(words))
    }

    /// A field that is read into something; `None` when it is empty.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, WebError> {
        self.get(name).map(|text| text.parse().map_err(|error: T::Err| refused(&error.to_string()))).transpose()
    }
}

pub(crate) fn refused(words: &str) -> WebError {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", words).into()
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = WebError;

    async fn from_request(request: Request, state: &S) -> Result<Self, WebError> {
        let form = axum::Form::<Vec<(String, String)>>::from_request(request, state).await;
        let axum::Form(fields) = form.map_err(|rejection| {
            WebError(Problem::new(rejection.status(), "unreadable", format!("the form can't be read: {rejection}")))
        })?;
        Ok(Self(fields.into_iter().map(|(name, value)| (name, value.trim().to_owned())).collect()))
    }
}
