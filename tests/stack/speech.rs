//! Sources whose words nobody has written down: they are listened to, and what is said in them is found.

use std::path::{Path, PathBuf};
use std::process::Command;

use domain::ids::JobId;
use domain::money::Amount;
use serde_json::{Value, json};

use crate::stack::source::{ffprobe, lavfi, made, served, usual};
use crate::stack::upload::uploaded;
use crate::stack::{Account, With, cloud, fragile};

const TALK: [&str; 3] = [
    "Good morning. The elephants are looking for water.",
    "After lunch the train to London was late again.",
    "Remember that elephants sleep on their feet.",
];
const QUERY: &str = "all mentions of elephants";

/// Sound in which each sentence is said behind 3 s of silence, by Flite or, in another language, by eSpeak NG.
fn said(name: &str, language: Option<&str>, sentences: &[&str]) -> PathBuf {
    let (mut inputs, mut files) = (String::new(), Vec::new());
    let mut parts = String::new();
    for (number, sentence) in sentences.iter().enumerate() {
        let file = tempfile::Builder::new().suffix(".wav").tempfile().unwrap();
        let path = file.path();
        let mut speaker = Command::new(if language.is_some() { "espeak-ng" } else { "flite" });
        match language {
            Some(language) => speaker.args(["-v", language, "-s", "140", "-w"]).arg(path).arg(sentence),
            None => speaker.args(["-voice", "slt", "-t", sentence, "-o"]).arg(path),
        };
        assert!(speaker.status().unwrap().success(), "cargo xtask test installs what speaks");
        inputs += &format!("-i {} ", path.display());
        parts += &format!(
            "[{number}:a]aresample=16000,adelay=3000:all=1,aformat=channel_layouts=mono[s{number}];"
        );
        files.push(file);
    }
    let all: String = (0..sentences.len()).map(|number| format!("[s{number}]")).collect();
    let filter = format!("{parts}{all}concat=n={}:v=0:a=1[all]", sentences.len());
    made(&format!("{name}.wav"), &format!("{inputs} -filter_complex {filter} -map [all] -c:a pcm_s16le"))
}

/// A video with this sound, whose picture has far more bytes.
fn video(name: &str, sound: &Path) -> PathBuf {
    let picture =
        "-f lavfi -i testsrc2=size=320x180:rate=25 -c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p";
    made(name, &format!("-i {} {picture} -c:a aac -b:a 64k -shortest -movflags +faststart", sound.display()))
}

fn talk() -> PathBuf {
    video("spoken-talk.mp4", &said("talk", None, &TALK))
}

/// Bytes of a file's samples of sound.
fn sound_bytes(path: &Path) -> u64 {
    ffprobe(path, "a", "packet=size").iter().filter_map(|size| size.parse::<u64>().ok()).sum()
}

async fn ask(account: &Account, body: &Value) -> JobId {
    let (status, answer) = account.post("/v1/clip/auto", body).await;
    assert_eq!(status, 200, "{answer}");
    JobId::parse(answer["job_id"].as_str().unwrap()).unwrap()
}

/// An analysis of a source that nobody has listened to yet: it becomes a job.
async fn listened(account: &Account, body: &Value) -> Value {
    let (status, answer) = account.post("/v1/clip/analyze", body).await;
    assert_eq!((status, &answer["status"]), (202, &json!("pending")), "{answer}");
    account.finish(&JobId::parse(answer["job_id"].as_str().unwrap()).unwrap()).await
}

fn excerpts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|one| one["excerpt"].as_str().unwrap().to_lowercase()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_found_and_cut() {
    let (server, account) = (served(&talk()).await, cloud().account(Amount::cents(200)).await);
    let body = json!({ "url": server.url(), "query": QUERY, "format": "mp3" });
    let job = ask(&account, &body).await;
    let mut seen = vec!["pending".to_owned()];
    let done = loop {
        let (_, answer) = account.get(&format!("/v1/clip/{job}?wait=20")).await;
        let status = answer["status"].as_str().unwrap().to_owned();
        if seen.last() != Some(&status) {
            seen.push(status.clone());
        }
        if matches!(&*status, "complete" | "failed") {
            break answer;
        }
    };
    let order = ["pending", "analyzing", "downloading", "processing", "uploading", "complete"];
    let places: Vec<_> = seen.iter().map(|status| order.iter().position(|one| one == status)).collect();
    assert!(places.is_sorted() && seen.contains(&"analyzing".to_owned()), "{seen:?}");
    assert_eq!((&done["status"], &done["cost"]), (&json!("complete"), &json!(0.3)), "{done}");
    let found = excerpts(&done["clips"]);
    assert_eq!(found.len(), 2, "{done}");
    assert!(found[0].contains("looking for water") && found[1].contains("sleep on their feet"), "{found:?}");
    // Only the sound was fetched: for the words, and then what of it is in the clips.
    let sound = sound_bytes(&talk());
    let whole = std::fs::metadata(talk()).unwrap().len();
    assert!(whole > 5 * sound, "{sound} of {whole}");

    // A second question is answered at once, of the words that are kept.
    let before = server.bytes_served();
    let question = json!({ "url": server.url(), "query": "all mentions of the train to london" });
    let (status, answer) = account.post("/v1/clip/analyze", &question).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(excerpts(&answer["segments"]).len(), 1, "{answer}");
    assert!(server.bytes_served() - before < sound / 2, "{} more", server.bytes_served() - before);
    assert_eq!(account.audit().await, (Amount::cents(160), Amount::ZERO));

    // The clip itself is listened to: it has what was asked for, whole.
    let clip = &done["clips"][1];
    let heard = listened(&account, &json!({ "url": clip["download_url"], "query": QUERY })).await;
    assert_eq!(heard["status"], "complete", "{heard}");
    assert_eq!(excerpts(&heard["segments"]), [&*found[1]], "{heard}");
    assert_eq!(account.audit().await, (Amount::cents(150), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_languages_are_understood_and_uploads_are_heard() {
    let account = cloud().account(Amount::cents(100)).await;
    let german = [
        "Guten Morgen. Heute ist das Wetter sehr schön.",
        "Wir fahren morgen mit dem Zug nach Berlin, weil wir dort Freunde haben.",
    ];
    let file = said("german", Some("de"), &german);
    let id = uploaded(&account, &file).await;
    let done =
        listened(&account, &json!({ "file_id": id, "query": "alle Stellen mit \"Zug nach Berlin\"" })).await;
    assert_eq!((&done["status"], &done["cost"]), (&json!("complete"), &json!(0.1)), "{done}");
    let found = excerpts(&done["segments"]);
    assert!(found.iter().any(|one| one.contains("zug nach berlin")), "{done}");
    // A language may be asked for, which is then taken for the one that is spoken.
    // This one lies in fragments.
    let words = "-c:a aac -movflags frag_keyframe+empty_moov+default_base_moof -frag_duration 2000000";
    let server = served(&made("german.mp4", &format!("-i {} {words}", file.display()))).await;
    let asked = json!({ "url": server.url(), "query": "\"Zug nach Berlin\"", "language": "de-DE" });
    let done = listened(&account, &asked).await;
    assert!(excerpts(&done["segments"]).iter().any(|one| one.contains("zug nach berlin")), "{done}");
    for language in ["tlh", "english", "e n"] {
        let refused = json!({ "url": server.url(), "query": "q", "language": language });
        for path in ["/v1/clip/auto", "/v1/clip/analyze"] {
            let (status, answer) = account.post(path, &refused).await;
            assert_eq!((status, &answer["code"]), (400, &json!("bad_request")), "{language}: {answer}");
        }
    }
    assert_eq!(account.audit().await, (Amount::cents(80), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn for_words_only_the_sound_is_read() {
    // Some minutes, of which a little is speech: between each two pictures lies some of the sound.
    let talk = said("talk", None, &TALK);
    let noise = "-f lavfi -i anoisesrc=d=400:a=0.02:r=16000 -f lavfi -i testsrc2=size=160x90:rate=10";
    let all =
        "-filter_complex [0:a][1:a]concat=n=2:v=0:a=1[all] -map 2:v -map [all] -ar 48000 -c:a aac -b:a 128k";
    let picture = "-c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p -shortest -movflags +faststart";
    let file = made("long-talk.mp4", &format!("-i {} {noise} {all} {picture}", talk.display()));
    let (server, account) = (served(&file).await, cloud().account(Amount::cents(100)).await);
    let done = listened(&account, &json!({ "url": server.url(), "query": QUERY })).await;
    assert_eq!(done["status"], "complete", "{done}");
    assert_eq!(done["segments"].as_array().unwrap().len(), 2, "{done}");
    let (read, sound) = (server.bytes_served(), sound_bytes(&file));
    assert!(read <= sound * 11 / 10, "{read} of {sound}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_speaks_nothing_is_spent() {
    let account = cloud().account(Amount::cents(100)).await;
    let tone = served(&usual()).await;
    let silence = "-f lavfi -i anullsrc=r=48000:cl=stereo:d=20 -c:a aac";
    let silence = served(&made("silence.m4a", silence)).await;
    let mute = format!("{} -map 0:v -c:v libx264 -preset ultrafast", lavfi("64x36", "5", 4));
    let mute = served(&made("mute.mp4", &mute)).await;
    for (server, code) in [(&tone, "no_speech"), (&silence, "no_speech"), (&mute, "no_transcript")] {
        let body = json!({ "url": server.url(), "query": QUERY, "format": "gif" });
        let job = if code == "no_transcript" {
            let analysis = json!({ "url": server.url(), "query": QUERY });
            let (status, answer) = account.post("/v1/clip/analyze", &analysis).await;
            assert_eq!((status, &answer["code"]), (422, &json!(code)), "{answer}");
            account.finish(&ask(&account, &body).await).await
        } else {
            listened(&account, &json!({ "url": server.url(), "query": QUERY })).await
        };
        assert_eq!((&job["status"], &job["error_code"]), (&json!("failed"), &json!(code)), "{job}");
    }
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_cancelled_is_not_listened_to_any_more() {
    let (server, account) = (served(&talk()).await, cloud().account(Amount::cents(100)).await);
    let job = ask(&account, &json!({ "url": server.url(), "query": QUERY })).await;
    crate::stack::cloud::until("it is analyzed", || async {
        account.get(&format!("/v1/clip/{job}")).await.1["status"] == "analyzing"
    })
    .await;
    let (status, answer) = account.post(&format!("/v1/clip/{job}/cancel"), &json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("cancelled")), "{answer}");
    assert_eq!(account.audit().await, (Amount::cents(100), Amount::ZERO));
}

/// Kills every stage that listens once at its start and once at its end.
#[tokio::test(flavor = "multi_thread")]
async fn every_stage_that_listens_may_be_killed() {
    let fragile = fragile(With::FragileJobs).await;
    let (cloud, faults) = (fragile.cloud, &fragile.faults);
    let account = cloud.account(Amount::cents(1000)).await;
    let file = said("short", None, &TALK[1..2]);
    let mut spent = 0;
    for stage in ["media.hear", "speech.divide", "speech.listen", "speech.gather"] {
        for place in ["start", "end"] {
            let fault = faults.join(format!("{stage}.{place}"));
            std::fs::write(&fault, "").unwrap();
            // Each is another source, or its words would be there already.
            let server = served(&file).await;
            let body = json!({ "url": server.url(), "query": "all mentions of the train", "format": "mp3" });
            let done = account.finish(&ask(&account, &body).await).await;
            assert!(!fault.exists(), "{stage} was not killed at its {place}");
            let told = (&done["status"], &done["cost"]);
            assert_eq!(told, (&json!("complete"), &json!(0.2)), "{stage} {place}: {done}");
            assert_eq!(done["clips"].as_array().unwrap().len(), 1, "{stage} {place}: {done}");
            spent += 20;
            assert_eq!(account.audit().await, (Amount::cents(1000 - spent), Amount::ZERO), "{stage} {place}");
        }
    }
}
