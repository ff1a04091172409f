#pragma once

/// @file
/// The parts of a tokenizer.json besides its model: normalizer, pre-tokenizer, post-processor, decoder. Each reader
/// refuses unknown content by name. Needs maestro::tokenizers.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/bpe_tokenizer.hpp"
#include "maestro/text/pre_tokenizer.hpp"

namespace maestro::detail {

/// Refuses a member of `part` that is not in `known`, unless its value is null or false.
/// @throws Unsupported naming the member and its value.
inline void check_known(const JsonFields& part, const std::string& prefix, std::initializer_list<const char*> known) {
  for (const auto& [key, value] : part.json().items()) {
    bool found = value.is_null() || value == Json(false);
    for (const char* name : known) found = found || key == name;
    if (!found) {
      throw Unsupported(part.file() + ": field " + quote_text(prefix + key) + " is " + shown(value) +
                        ", which is not implemented");
    }
  }
}

/// Gives the members of an array of objects at `key`, each with its position for messages.
inline std::vector<JsonFields> objects_at(const JsonFields& part, const std::string& prefix, const std::string& key) {
  const Json& list = part.at(key);
  if (!list.is_array()) part.fail(key, "an array");
  std::vector<JsonFields> objects;
  for (std::size_t i = 0; i < list.size(); ++i) {
    std::string place(prefix);
    place.append(key).append("[").append(std::to_string(i)).append("].");
    objects.emplace_back(list[i], part.file(), place);
  }
  return objects;
}

inline Normalization read_normalizer_part(const JsonFields& part, const std::string& prefix) {
  const std::string type = part.text("type");
  if (type == "NFC") {
    check_known(part, prefix, {"type"});
    return Normalization::nfc;
  }
  if (type != "Sequence") part.unsupported("type", "only NFC is implemented");
  check_known(part, prefix, {"type", "normalizers"});
  Normalization all = Normalization::none;
  for (const JsonFields& one : objects_at(part, prefix, "normalizers")) {
    if (read_normalizer_part(one, prefix + "normalizers[].") == Normalization::nfc) all = Normalization::nfc;
  }
  return all;
}

inline Normalization read_normalizer(const JsonFields& root) {
  return root.has("normalizer") ? read_normalizer_part(root.object("normalizer"), "normalizer.") : Normalization::none;
}

inline SplitStep read_split(const JsonFields& part, const std::string& prefix) {
  check_known(part, prefix, {"type", "pattern", "behavior", "invert"});
  static constexpr std::pair<const char*, SplitBehavior> behaviors[] = {
      {"Removed", SplitBehavior::removed},
      {"Isolated", SplitBehavior::isolated},
      {"MergedWithPrevious", SplitBehavior::merged_with_previous},
      {"MergedWithNext", SplitBehavior::merged_with_next},
      {"Contiguous", SplitBehavior::contiguous}};
  std::optional<SplitBehavior> behavior;
  for (const auto& [name, value] : behaviors) {
    if (part.text("behavior") == name) behavior = value;
  }
  if (!behavior) part.unsupported("behavior", "which is not implemented");
  const Delimiter delimiter = part.boolean("invert") ? Delimiter::rest : Delimiter::matches;

  const JsonFields pattern = part.object("pattern");
  check_known(pattern, prefix + "pattern.", {"Regex", "String"});
  if (pattern.has("Regex") == pattern.has("String")) part.fail("pattern", "one of Regex and String");
  if (pattern.has("String")) {
    const std::string& sought = pattern.text("String");
    if (sought.empty()) pattern.unsupported("String", "a split by an empty text is not implemented");
    return {.pattern = sought, .behavior = *behavior, .delimiter = delimiter};
  }
  try {
    return {.pattern = Pattern(pattern.text("Regex")), .behavior = *behavior, .delimiter = delimiter};
  } catch (const BadArgument& error) {
    throw BadFile(part.file() + ": field '" + prefix + "pattern.Regex': " + error.what());
  }
}

struct PreTokenizerReader {
  std::vector<PreTokenizerStep> steps{};
  PrefixSpace prefix = PrefixSpace::none;
  WordPattern words = WordPattern::none;
  bool byte_level = false;  ///< whether the byte-level step has been met; it must be the last one

  void read(const JsonFields& part, const std::string& place) {
    const std::string type = part.text("type");
    if (type == "Sequence") {
      check_known(part, place, {"type", "pretokenizers"});
      for (const JsonFields& one : objects_at(part, place, "pretokenizers")) read(one, place + "pretokenizers[].");
      return;
    }
    if (byte_level) part.unsupported("type", "a step after ByteLevel is not implemented");
    if (type == "ByteLevel") {
      check_known(part, place, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
      prefix = part.boolean("add_prefix_space") ? PrefixSpace::add : PrefixSpace::none;
      words = part.boolean_or("use_regex", true) ? WordPattern::gpt2 : WordPattern::none;
      byte_level = true;
    } else if (type == "Split") {
      steps.emplace_back(read_split(part, place));
    } else if (type == "Digits") {
      check_known(part, place, {"type", "individual_digits"});
      steps.emplace_back(
          DigitsStep{part.boolean("individual_digits") ? SplitBehavior::isolated : SplitBehavior::contiguous});
    } else {
      part.unsupported("type", "only Split, Digits, ByteLevel and Sequence are implemented");
    }
    if (steps.size() > PreTokenizer::max_steps) {
      throw Unsupported(part.file() + ": field 'pre_tokenizer' has more than " +
                        std::to_string(PreTokenizer::max_steps) + " steps");
    }
  }
};

inline PreTokenizer read_pre_tokenizer(const JsonFields& root) {
  PreTokenizerReader reader;
  if (root.has("pre_tokenizer")) reader.read(root.object("pre_tokenizer"), "pre_tokenizer.");
  if (!reader.byte_level) {
    throw Unsupported(root.file() +
                      ": field 'pre_tokenizer' has no ByteLevel; only byte-level tokenizers are implemented");
  }
  return {std::move(reader.steps), reader.prefix, reader.words};
}

inline void check_decoder(const JsonFields& root) {
  if (!root.has("decoder")) {
    throw Unsupported(root.file() + ": field 'decoder' is missing or null; only ByteLevel is implemented");
  }
  const JsonFields decoder = root.object("decoder");
  if (decoder.text("type") != "ByteLevel") decoder.unsupported("type", "only ByteLevel is implemented");
  // The decoder's switches change nothing.
  check_known(decoder, "decoder.", {"type", "add_prefix_space", "trim_offsets", "use_regex"});
}

/// Checks a Replace step that replaces spaces or restores them.
inline void check_replace(const JsonFields& part, const std::string& place, std::string_view from,
                          std::string_view to) {
  check_known(part, place, {"type", "pattern", "content"});
  const JsonFields pattern = part.object("pattern");
  if (part.text("type") != "Replace" || !pattern.has("String") || pattern.text("String") != from ||
      part.text("content") != to) {
    throw Unsupported(part.file() + ": field '" + place + "type' is " + shown(part.json()) +
                      "; of a SentencePiece model only Replace of \"" + std::string(from) + "\" by \"" +
                      std::string(to) + "\" is implemented");
  }
}

/// Reads the normalizer of a SentencePiece model: an optional Prepend, then Replace.
inline Metaspace read_metaspace_normalizer(const JsonFields& root) {
  const JsonFields part = root.object("normalizer");
  Metaspace metaspace{.prefix = SpacePrefix::never};
  const bool alone = part.text("type") != "Sequence";
  std::vector<JsonFields> steps;
  if (alone) {
    steps.push_back(part);
  } else {
    check_known(part, "normalizer.", {"type", "normalizers"});
    steps = objects_at(part, "normalizer.", "normalizers");
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (i == 0 && steps[i].text("type") == "Prepend") {
      check_known(steps[i], "normalizer.", {"type", "prepend"});
      if (steps[i].text("prepend") != metaspace_symbol)
        steps[i].unsupported("prepend", "only \"\u2581\" is implemented");
      metaspace.prefix = SpacePrefix::always;
    } else {
      check_replace(steps[i], "normalizer.", " ", metaspace_symbol);
    }
  }
  return metaspace;
}

/// Reads the pre-tokenizer Metaspace, in its old or new form.
inline Metaspace read_metaspace_step(const JsonFields& part) {
  check_known(part, "pre_tokenizer.",
              {"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
  if (part.text("replacement") != metaspace_symbol) part.unsupported("replacement", "only \"\u2581\" is implemented");
  if (part.boolean_or("split", true)) part.unsupported("type", "only Metaspace with \"split\": false is implemented");
  const std::string usual = part.boolean_or("add_prefix_space", true) ? "always" : "never";
  const std::string scheme = part.text_or("prepend_scheme", usual);
  Metaspace metaspace{.before_spaces = false};
  if (scheme == "never") {
    metaspace.prefix = SpacePrefix::never;
  } else if (scheme == "first") {
    metaspace.prefix = SpacePrefix::first;
  } else if (scheme != "always") {
    part.unsupported("prepend_scheme", "only \"always\", \"first\" and \"never\" are implemented");
  }
  return metaspace;
}

/// Tells whether decoding removes a space at the start. It refuses decoders other than those of SentencePiece models,
/// whose order is Replace, ByteFallback, Fuse, Strip.
inline bool read_metaspace_decoder(const JsonFields& root) {
  const JsonFields decoder = root.object("decoder");
  if (decoder.text("type") != "Sequence") decoder.unsupported("type", "only a Sequence is implemented here");
  const std::vector<JsonFields> steps = objects_at(decoder, "decoder.", "decoders");
  static constexpr std::array<std::string_view, 4> order{"Replace", "ByteFallback", "Fuse", "Strip"};
  std::size_t next = 0;
  bool strips = false;
  for (const JsonFields& step : steps) {
    const std::string type = step.text("type");
    while (next < order.size() && order[next] != type) ++next;
    if (next == order.size()) step.unsupported("type", "which is not implemented at this place");
    if (type == "Replace") check_replace(step, "decoder.", metaspace_symbol, " ");
    if (type == "Strip") {
      check_known(step, "decoder.", {"type", "content", "start", "stop"});
      if (step.text("content") != " " || step.count("start") > 1 || step.count("stop") != 0) {
        step.unsupported("start", "only one space at the start is implemented");
      }
      strips = step.count("start") == 1;
    }
    ++next;
  }
  return strips;
}

/// Reads the steps of a SentencePiece model; nullopt if the tokenizer is byte-level.
inline std::optional<Metaspace> read_metaspace(const JsonFields& root) {
  const bool by_step = root.has("pre_tokenizer") && root.object("pre_tokenizer").text("type") == "Metaspace";
  const bool by_normalizer =
      !root.has("pre_tokenizer") && root.has("normalizer") && root.object("model").boolean_or("byte_fallback", false);
  if (!by_step && !by_normalizer) return std::nullopt;
  if (by_step && root.has("normalizer")) {
    root.unsupported("normalizer", "which is not implemented beside the pre-tokenizer Metaspace");
  }
  Metaspace metaspace = by_step ? read_metaspace_step(root.object("pre_tokenizer")) : read_metaspace_normalizer(root);
  metaspace.decoder_strips = read_metaspace_decoder(root);
  return metaspace;
}

/// Gives the special token with which the template of a single text begins.
inline std::optional<std::int32_t> read_template(const JsonFields& part, const std::string& prefix) {
  check_known(part, prefix, {"type", "single", "pair", "special_tokens"});
  const std::vector<JsonFields> items = objects_at(part, prefix, "single");
  if (items.empty() || !items.front().has("SpecialToken")) return std::nullopt;
  const std::string name = items.front().object("SpecialToken").text("id");
  const JsonFields token = part.object("special_tokens").object(name);
  const Json& ids = token.at("ids");
  if (!ids.is_array() || ids.size() != 1 || !ids[0].is_number_unsigned() ||
      ids[0].get<std::uint64_t>() >= static_cast<std::uint64_t>(BpeTables::id_limit)) {
    token.fail("ids", "an array of one id");
  }
  return static_cast<std::int32_t>(ids[0].get<std::uint64_t>());
}

inline std::optional<std::int32_t> read_post_processor(const JsonFields& part, const std::string& prefix) {
  const std::string type = part.text("type");
  if (type == "ByteLevel") {  // moves offsets only
    check_known(part, prefix, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    return std::nullopt;
  }
  if (type == "TemplateProcessing") return read_template(part, prefix);
  if (type != "Sequence") part.unsupported("type", "only ByteLevel, TemplateProcessing and Sequence are implemented");
  check_known(part, prefix, {"type", "processors"});
  std::optional<std::int32_t> begin;
  for (const JsonFields& one : objects_at(part, prefix, "processors")) {
    if (const auto found = read_post_processor(one, prefix + "processors[].")) begin = found;
  }
  return begin;
}

/// Gives the token that the post-processor puts first. Encoding never adds it.
inline std::optional<std::int32_t> read_begin_token(const JsonFields& root) {
  if (!root.has("post_processor")) return std::nullopt;
  return read_post_processor(root.object("post_processor"), "post_processor.");
}

}  // namespace maestro::detail
