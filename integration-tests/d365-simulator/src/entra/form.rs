//! The form of a token request, decoded strictly.

use percent_encoding::percent_decode;

use super::errors::EntraError;

/// Longest form taken, in bytes.
const LONGEST: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Form {
    pub(super) grant_type: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) client_assertion_type: Option<String>,
    pub(super) client_assertion: Option<String>,
    pub(super) resource: Option<String>,
    pub(super) scope: Option<String>,
}

impl Form {
    pub(super) fn read(content_type: &str, body: &[u8]) -> Result<Self, EntraError> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(EntraError::MalformedForm("the content type is another one"));
        }
        if body.len() > LONGEST {
            return Err(EntraError::MalformedForm("it is too long"));
        }
        let mut form = Self::default();
        for pair in body
            .split(|byte| *byte == b'&')
            .filter(|pair| !pair.is_empty())
        {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            let field = match name.as_str() {
                "grant_type" => &mut form.grant_type,
                "client_id" => &mut form.client_id,
                "client_secret" => &mut form.client_secret,
                "client_assertion_type" => &mut form.client_assertion_type,
                "client_assertion" => &mut form.client_assertion,
                "resource" => &mut form.resource,
                "scope" => &mut form.scope,
                _ => continue,
            };
            if field.replace(value).is_some() {
                return Err(EntraError::MalformedForm("a parameter occurs twice"));
            }
        }
        Ok(form)
    }
}

/// A plus is a blank; a percent sign must be followed by two hexadecimal digits; the rest must be ASCII.
fn decode(text: &[u8]) -> Result<String, EntraError> {
    let mut rest = text;
    while let Some(place) = rest.iter().position(|byte| *byte == b'%') {
        let digits = rest.get(place + 1..place + 3).unwrap_or_default();
        if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(EntraError::MalformedForm(
                "a percent sign is not followed by two digits",
            ));
        }
        rest = &rest[place + 3..];
    }
    if text.iter().any(|byte| !byte.is_ascii_graphic()) {
        return Err(EntraError::MalformedForm("a character is not encoded"));
    }
    let blanks: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&blanks)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_source| EntraError::MalformedForm("a value is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "application/x-www-form-urlencoded";

    #[test]
    fn values_are_decoded() {
        let form = Form::read(TYPE, b"client_secret=a%2Bb%2F%3D%25&scope=x+y&other=1").unwrap();
        assert_eq!(form.client_secret.as_deref(), Some("a+b/=%"));
        assert_eq!(form.scope.as_deref(), Some("x y"));
    }

    #[test]
    fn what_is_not_a_form_is_refused() {
        let cases: [(&str, &[u8]); 6] = [
            ("application/json", b"{}"),
            (TYPE, b"client_secret=100%"),
            (TYPE, b"client_secret=%zz"),
            (TYPE, b"client_secret=a b"),
            (TYPE, b"client_secret=%ff"),
            (TYPE, b"client_id=a&client_id=b"),
        ];
        for (kind, body) in cases {
            assert!(
                Form::read(kind, body).is_err(),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }
}
