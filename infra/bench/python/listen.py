"""Recognises files as shared/speech's example `recognise` does, by faster-whisper: `listen.py MODEL FILE...`"""

import json
import sys
import time

import numpy
from faster_whisper import WhisperModel

model, files = sys.argv[1], sys.argv[2:]
begun = time.monotonic()
whisper = WhisperModel(model, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1, local_files_only=True)
load_s = time.monotonic() - begun
begun, used = time.monotonic(), time.process_time()
told = []
for file in files:
    sound = numpy.fromfile(file, dtype="<i2").astype(numpy.float32) / 32768
    segments, info = whisper.transcribe(
        sound,
        beam_size=1,
        temperature=0.0,
        condition_on_previous_text=False,
        word_timestamps=True,
        vad_filter=True,
    )
    words = [
        {"text": word.word.strip(), "start": round(word.start * 1e6), "end": round(word.end * 1e6)}
        for segment in segments
        for word in segment.words
    ]
    told.append({"language": info.language, "segments": [{"words": words}]})
answer = {"load_s": load_s, "wall_s": time.monotonic() - begun, "cpu_s": time.process_time() - used, "spoken": told}
print(json.dumps(answer))
