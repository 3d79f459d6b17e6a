#include <array>

#include "recipes/diagnostic.hpp"

namespace fulgur {

std::span<const DiagnosticCode> diagnostic_codes() noexcept {
  static constexpr auto kCodes = std::to_array<DiagnosticCode>({
      {"E0101", "the recipe cannot be read, is larger than 1 MiB, or is not UTF-8 text",
       "Recipes are small texts. Check the path, and that the file was saved as UTF-8 without "
       "control characters."},
      {"E0102", "the recipe is not YAML",
       "The line that is shown is where reading failed; the mistake is often just before it: a "
       "missing blank after a colon, a quote or bracket that is not closed, a tab for "
       "indentation."},
      {"E0103", "a recipe is one YAML document",
       "`---` starts a second document. Put each recipe into a file of its own; `extends` builds "
       "one on another."},
      {"E0104", "the recipe is nested too deeply, too large with its aliases, or refers to itself",
       "A few bytes of YAML can stand for millions of values. The limits are 64 levels and 100,000 "
       "values with aliases followed, and 10,000 elements for one list."},
      {"E0105", "a key stands twice in one mapping",
       "YAML forbids it, but most programs silently take one of the two. Decide which one counts."},
      {"E0106",
       "a feature of YAML that recipes do not have: tags, merge keys, keys that are no text"},
      {"E0107", "an unknown key"},
      {"E0108", "a field that must be given is missing"},
      {"E0109", "a value of the wrong type"},
      {"E0110", "a unit that does not exist or does not fit"},
      {"E0111", "a number out of range"},
      {"E0112", "a text that is none of the choices"},
      {"E0113", "an argument that is not of the form field=value"},
      {"E0114", "an expression that cannot be read"},
      {"E0115", "a name that stands for no field and no variable"},
      {"E0116", "values that refer to each other in a circle"},
      {"E0117", "an operation that does not fit its operands, or a result that does not fit"},
      {"E0118", "expressions that are too long, too deep, or take too many steps"},
      {"E0119", "an environment variable that is not set, or must not be read"},
      {"E0121", "a base outside of the recipe's folder"},
      {"E0122", "recipes that extend themselves, or too many of them"},
      {"E0123", "an override that adds what is there, or takes away what is not"},
      {"E0124", "a key for a secret"},
      {"E0125", "a variable that nothing uses"},
      {"E0201", "heads cannot be shared evenly by the key and value heads"},
      {"E0202", "the rotary dimensions do not fit the head"},
      {"E0203", "more experts per token than experts"},
      {"E0204", "a softmax layer that does not exist or stands there twice"},
      {"E0205", "a model too large to be counted"},
      {"E0206", "a field that cannot be derived from the others"},
      {"E0211", "the micro-batch does not divide the batch"},
      {"E0212", "the data-parallel ranks do not divide the micro-batch"},
      {"E0213", "more tokens than can be counted"},
      {"E0231", "an unknown tokenizer"},
      {"E0232", "a vocabulary smaller than the tokenizer's"},
      {"E0233", "no training data"},
      {"E0234", "a pattern of data files that matches nothing"},
      {"E0235", "a data file that cannot be read or is empty"},
      {"E0236", "a document separator that is no line"},
      {"E0241", "a learning rate that would rise while it decays"},
      {"E0242", "a learning-rate schedule whose parts do not follow each other"},
      {"E0251", "a name that is no file name"},
      {"E0252", "times of the cluster that contradict each other"},
      {"E0253", "an unknown kind of cluster"},
      {"E0254", "a sample without a prompt"},
      {"E0255", "no directory for the run"},
      {"E0261", "more ranks than can be counted"},
      {"E0262", "the ranks of the experts do not divide those of a pipeline stage"},
      {"E0263", "the tensor-parallel ranks do not divide the heads"},
      {"E0264", "the tensor-parallel ranks do not divide the vocabulary"},
      {"E0265", "key and value heads that can be neither cut nor copied evenly"},
      {"E0266", "the expert-parallel ranks do not divide the experts"},
      {"E0267", "the tensor-parallel ranks of an expert do not divide its inner width"},
      {"E0268", "a sequence with fewer tokens than chunks"},
      {"E0269", "fewer tokens on a rank than tensor-parallel ranks"},
      {"E0271", "a pipeline schedule that does not fit the virtual stages"},
      {"E0272", "interleaved pieces on a single stage"},
      {"E0273", "more pieces of the pipeline than layers"},
      {"E0274", "a list of layers that does not fit the pieces of the pipeline"},
      {"E0275", "a list of layers that does not add up to the model's"},
      {"E0276", "a load-balancing loss over all layers with more than one pipeline stage"},
      {"E0277", "more passes of a pipeline stage than can be listed"},
  });
  return kCodes;
}

}  // namespace fulgur
