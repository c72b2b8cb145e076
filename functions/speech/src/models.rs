//! The models. Each is loaded by the first who asks for it, so that a function has those in memory that it uses.

use std::path::PathBuf;
use std::sync::OnceLock;

use moments::Model;
use runtime::{App, StageError, Var};
use speech::{Recogniser, SpeechModel, Voice};

/// What finds moments.
pub(crate) fn finder() -> Result<&'static Model, StageError> {
    static MODEL: OnceLock<Model> = OnceLock::new();
    once(&MODEL, || Model::load(&folder()?).map_err(passing))
}

/// What hears whether somebody speaks.
pub(crate) fn voice() -> Result<&'static Voice, StageError> {
    static MODEL: OnceLock<Voice> = OnceLock::new();
    once(&MODEL, || Voice::load(&folder()?).map_err(passing))
}

/// What understands speech. An environment of Lambda has one setting all its life.
pub(crate) fn recogniser(model: SpeechModel) -> Result<&'static Recogniser, StageError> {
    static MODEL: OnceLock<Recogniser> = OnceLock::new();
    once(&MODEL, || Recogniser::load(&folder()?, model).map_err(passing))
}

/// Which of them the operator has chosen for speech.
pub(crate) fn chosen(app: &App) -> Result<SpeechModel, StageError> {
    let word = app.config().get(Var::SpeechModel).map_err(passing)?;
    SpeechModel::named(word).ok_or_else(|| passing("there is no such model"))
}

fn once<T>(
    place: &'static OnceLock<T>,
    load: impl FnOnce() -> Result<T, StageError>,
) -> Result<&'static T, StageError> {
    if let Some(model) = place.get() {
        return Ok(model);
    }
    let model = load()?;
    Ok(place.get_or_init(|| model))
}

/// Where the models are: `MODELS_DIR`, as in the image.
fn folder() -> Result<PathBuf, StageError> {
    std::env::var_os("MODELS_DIR").map(PathBuf::from).ok_or_else(|| passing("MODELS_DIR names no folder"))
}

/// A fault that may pass.
pub(crate) fn passing(error: impl std::fmt::Display) -> StageError {
    StageError::Passing(error.to_string())
}
