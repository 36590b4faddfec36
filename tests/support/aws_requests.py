"""What botocore, AWS's own library, objects to in requests to Converse.

Argument: a file with the body of a request on each line. Prints a line for each objection, and `checked N` in the end.
Ends with 77 where botocore is missing.
"""

import json
import pathlib
import sys

try:
    import botocore.session
    from botocore.validate import ParamValidator
except ImportError:
    sys.exit(77)


def main():
    session = botocore.session.get_session()
    shape = session.get_service_model("bedrock-runtime").operation_model("Converse").input_shape
    lines = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    for line in lines:
        report = ParamValidator().validate({"modelId": "m", **json.loads(line)}, shape).generate_report()
        if report:
            print(report, "in", line)
    print(f"checked {len(lines)}")


if __name__ == "__main__":
    main()
