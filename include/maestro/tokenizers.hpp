#pragma once

/// @file
/// Tokenizers of Hugging Face's tokenizer.json. They need Oniguruma and utf8proc: link maestro::tokenizers. The byte
/// tokenizer of maestro/maestro.hpp needs neither.

#include "maestro/hub/bpe_tokenizer_json.hpp"
#include "maestro/hub/bpe_tokenizer_steps.hpp"
#include "maestro/hub/gguf_tokenizer.hpp"
#include "maestro/text/added_tokens.hpp"
#include "maestro/text/bpe_tokenizer.hpp"
#include "maestro/text/byte_level.hpp"
#include "maestro/text/merges.hpp"
#include "maestro/text/nfc.hpp"
#include "maestro/text/pattern.hpp"
#include "maestro/text/pre_tokenizer.hpp"
#include "maestro/text/stream_decoder.hpp"
#include "maestro/text/unicode.hpp"
#include "maestro/text/word_cache.hpp"
