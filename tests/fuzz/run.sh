#!/usr/bin/env bash
# Builds the fuzz target of the recipe loader with clang and runs it: tests/fuzz/run.sh [SECONDS] [PRESET].
# PRESET is fuzz (with sanitizers, the default) or fuzz-plain (for the limits of time and memory). What it
# finds stays in build/PRESET/found; inputs that reach new code stay in build/PRESET/corpus.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-60}
preset=${2:-fuzz}
cmake --preset "$preset" >/dev/null
cmake --build "build/$preset" --target fulgur_recipe_fuzz
mkdir -p "build/$preset/corpus" "build/$preset/found"
"build/$preset/bin/fulgur_recipe_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=4096 \
  -max_len=65536 -dict=tests/fuzz/recipe.dict -artifact_prefix="build/$preset/found/" -print_final_stats=1 \
  "build/$preset/corpus" tests/recipes/bad 2>&1 | tail -n "${FULGUR_FUZZ_LINES:-12}"
