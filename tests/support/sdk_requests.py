"""What the providers' own Python libraries object to in requests.

Arguments: the folder that has the packages (cmake/go/python_packages.cmake), then files. A file has a request on each line,
`{"wire": "chat", "body": {...}}`, or is a recording of what a client sent, `{"requests": [{"path", "headers",
"body"}]}`. Prints a line for each objection, and `checked N` in the end. Ends with 77 where the packages are missing.

The types of openai and anthropic become JSON Schemas, in which every object takes the keys that it names and no others
(a `TypeAdapter` by itself does not look into lists, and lets unknown keys pass). Those of google-genai are strict
models; those of mistralai and ollama let unknown keys pass, so that these are looked for by the models' fields.
"""

import json
import pathlib
import sys

folder = sys.argv[1]
sys.path.insert(0, folder)
try:
    import jsonschema
    import pydantic
    from anthropic.types import message_create_params
    from google.genai import types as gemini
    from mistralai.client import models as mistral
    from ollama import _types as ollama
    from openai.types import responses
    from openai.types.chat import completion_create_params
    from openai.types.responses import response_create_params
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)


def close(schema):
    """Lets no object of the schema have other keys than those it names."""
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)
    return schema


def by_schema(kind):
    schema = close(pydantic.TypeAdapter(kind).json_schema())
    validator = jsonschema.Draft202012Validator(schema)

    def check(body):
        for error in validator.iter_errors(body):
            yield from deepest(error)

    return check


def deepest(error):
    """Of the alternatives that a value might have been, the one that it came nearest to."""
    if not error.context:
        place = "/".join(map(str, error.absolute_path))
        yield f"{place}: {error.message[:300]}"
        return
    def distance(one):
        return (len(one.absolute_path), one.validator not in ("const", "enum", "type", "required"))
    best = max(error.context, key=distance)
    yield from deepest(best)


# Ollama's API has them (docs/api.md), its library does not yet.
LATER_KEYS = {"truncate", "shift"}


def by_model(model, path=""):
    def check(body):
        try:
            model.model_validate(body)
        except pydantic.ValidationError as error:
            for one in error.errors():
                yield f"{path}{'/'.join(map(str, one['loc']))}: {one['msg']} ({str(one.get('input'))[:100]})"
        yield from unknown_keys(model, body, path)

    return check


def names_of(model):
    for name, field in model.model_fields.items():
        yield name
        if field.alias:
            yield field.alias


def unknown_keys(model, body, path):
    """Keys that the top of a model does not have."""
    for key in body:
        if key not in set(names_of(model)) | LATER_KEYS:
            yield f"{path}{key}: is not known"


GEMINI_KEYS = {
    "contents": gemini.Content, "systemInstruction": gemini.Content, "tools": gemini.Tool,
    "toolConfig": gemini.ToolConfig, "generationConfig": gemini.GenerationConfig,
    "safetySettings": gemini.SafetySetting,
}


def check_gemini(body):
    for key, value in body.items():
        if key in ("cachedContent", "labels", "serviceTier"):
            continue
        if key not in GEMINI_KEYS:
            yield f"{key}: is not known"
            continue
        for index, one in enumerate(value if isinstance(value, list) else [value]):
            yield from by_model(GEMINI_KEYS[key], f"{key}/{index}/")(one)


CHECKS = {
    "gemini": lambda: check_gemini,
    "mistral": lambda: by_model(mistral.ChatCompletionRequest),
    "ollama": lambda: by_model(ollama.ChatRequest),
}
for wire, params, kind in (("chat", completion_create_params, "CompletionCreateParams"),
                           ("responses", response_create_params, "ResponseCreateParams"),
                           ("messages", message_create_params, "MessageCreateParams")):
    for stream in ("Streaming", "NonStreaming"):
        CHECKS[wire + stream] = lambda kind=getattr(params, kind + stream): by_schema(kind)

made = {}


def objections(wire, body):
    if wire in ("chat", "responses", "messages"):
        wire += "Streaming" if body.get("stream") else "NonStreaming"
    if wire not in made:
        made[wire] = CHECKS[wire]()
    return list(made[wire](body))


def wire_of(request, client):
    path = request["path"].split("?")[0]
    if path.endswith("/v1/chat/completions"):
        return "mistral" if client.startswith("mistral") else "chat"
    if path.endswith("/v1/responses"):
        return "responses"
    if path.endswith("/v1/messages"):
        return "messages"
    if path.endswith("/api/chat"):
        return "ollama"
    if path.endswith((":generateContent", ":streamGenerateContent")):
        return "gemini"
    return None


def requests_of(file):
    text = pathlib.Path(file).read_text(encoding="utf-8")
    if text.startswith(('{"body"', '{"wire"')):
        yield from map(json.loads, text.splitlines())
        return
    recorded = json.loads(text)
    for request in recorded["requests"]:
        wire = wire_of(request, recorded["client"])
        if wire and request.get("body"):
            yield {"wire": wire, "body": without_gaps(request["body"])}


def without_gaps(body):
    """Of long lists of tools the recordings keep the first few."""
    def is_gap(value):
        text = json.dumps(value)
        return '"_other_keys"' in text or '"..."' in text
    if isinstance(body.get("tools"), list):
        body["tools"] = [tool for tool in body["tools"] if not is_gap(tool)]
        for tool in body["tools"]:
            declared = tool.get("functionDeclarations")
            if declared:
                tool["functionDeclarations"] = [one for one in declared if not is_gap(one)]
    return body


def main():
    count = 0
    for file in sys.argv[2:]:
        for request in requests_of(file):
            count += 1
            for objection in objections(request["wire"], request["body"]):
                print(f"{request['wire']}: {objection} [{pathlib.Path(file).name}]")
    print(f"checked {count}")


if __name__ == "__main__":
    main()
