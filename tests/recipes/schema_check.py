#!/usr/bin/env python3
"""Compares the JSON Schema of recipes with what the loader says of the corpus.

usage: schema_check.py FULGUR SOURCE_FOLDER

The schema must take every recipe that loads. Of the bad recipes it must refuse those that are wrong in
their form (unknown keys, types, units, ranges, choices, missing fields), and take those that only break
rules between fields.
"""

import json
import pathlib
import re
import subprocess
import sys

import jsonschema
import yaml

# Wrong in a way that a schema can see.
FORM = {"E0107", "E0108", "E0109", "E0110", "E0111", "E0112"}

# Refused by the loader for their form, but beyond the schema, each with the reason.
BEYOND = json.loads(pathlib.Path(__file__).with_name("schema_beyond.json").read_text())


class Yaml12(yaml.SafeLoader):
    """PyYAML with the types of YAML 1.2's core schema."""


Yaml12.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
]:
    Yaml12.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), list(first))
Yaml12.add_constructor("tag:yaml.org,2002:int", lambda self, node: int(node.value))
Yaml12.add_constructor("tag:yaml.org,2002:float", lambda self, node: float(node.value))


def names(extends):
    return [extends] if isinstance(extends, str) else extends


def main():
    fulgur, source = sys.argv[1], pathlib.Path(sys.argv[2])
    schema = json.loads(subprocess.run([fulgur, "recipe", "schema"], check=True,
                                       capture_output=True).stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    failures, refused, taken = [], 0, 0

    recipes = {path.resolve(): yaml.load(path.read_text(), Yaml12)
               for path in sorted(source.glob("recipes/**/*.yaml"))}
    bases = {(path.parent / base).resolve() for path, recipe in recipes.items()
             for base in names(recipe.get("extends", []))}
    for path, recipe in recipes.items():
        errors = [error for error in validator.iter_errors(recipe)
                  # What others extend need not be whole.
                  if not (path in bases and error.validator == "required")]
        taken += 1
        if errors:
            failures.append(f"{path}: refused: {errors[0].message[:200]}")

    for path in sorted(source.glob("tests/recipes/bad/*.yaml")):
        codes = set(re.findall(r"error\[(E\d+)\]", path.with_suffix(".txt").read_text()))
        try:
            document = yaml.load(path.read_text(), Yaml12)
        except (yaml.YAMLError, ValueError):
            continue  # not YAML
        is_bad = bool(list(validator.iter_errors(document)))
        if codes & FORM and path.stem not in BEYOND:
            refused += 1
            if not is_bad:
                failures.append(f"{path}: taken, but the loader says {sorted(codes)}")
        elif path.stem in BEYOND:
            if is_bad:
                failures.append(f"{path}: refused: take it out of schema_beyond.json")
        elif all(code >= "E0200" for code in codes):
            taken += 1
            if is_bad:
                failures.append(f"{path}: refused, but it only breaks rules: {sorted(codes)}")

    print(f"{taken} recipes taken, {refused} refused, {len(failures)} wrong")
    for failure in failures:
        print(failure)
    return 1 if failures or taken < 20 or refused < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
