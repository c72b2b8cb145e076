"""Speech whose words have known times: `say.py VOICE TEXT OUT.wav` prints [word, start, end] of each word, in seconds.

Flite decides how long each sound is before it makes it; this asks it for what it decided."""

import ctypes
import json
import sys


def call(name, result, *arguments):
    function = getattr(flite, name)
    function.restype, function.argtypes = result, arguments
    return function


def library(name):
    return ctypes.CDLL(f"lib{name}.so.1", mode=ctypes.RTLD_GLOBAL)


voice, text, out = sys.argv[1:]
pointer, chars = ctypes.c_void_p, ctypes.c_char_p
flite = library("flite")
for needed in ("flite_usenglish", "flite_cmulex"):
    library(needed)
flite.flite_init()
register = getattr(library(f"flite_cmu_us_{voice}"), f"register_cmu_us_{voice}")
register.restype, register.argtypes = pointer, (chars,)
spoken = call("flite_synth_text", pointer, chars, pointer)(text.encode(), register(None))
word = call("relation_head", pointer, pointer)(call("utt_relation", pointer, pointer, chars)(spoken, b"Word"))
name, time = call("ffeature_string", chars, pointer, chars), call("ffeature_float", ctypes.c_float, pointer, chars)
words = []
while word:
    start = time(word, b"R:SylStructure.daughter1.daughter1.R:Segment.p.end")
    end = time(word, b"R:SylStructure.daughtern.daughtern.R:Segment.end")
    words.append([name(word, b"name").decode(), round(start, 3), round(end, 3)])
    word = call("item_next", pointer, pointer)(word)
wave = call("utt_wave", pointer, pointer)(spoken)
if call("cst_wave_save_riff", ctypes.c_int, pointer, chars)(wave, out.encode()) != 0:
    sys.exit(f"cannot write {out}")
print(json.dumps(words))
