import yaml
from pydantic import ValidationError
from dynamo.profiler.utils.dgdr_v1beta1_types import DynamoGraphDeploymentRequestSpec
from dynamo.profiler.utils.dgdr_validate import valid_dgdr_spec, validate_dgdr_dynamo_features


def lost(written, read, path="spec"):
    """Paths of values that did not arrive as they were written; fields that the types do not know are left out."""
    if isinstance(written, dict) and isinstance(read, dict):
        return [
            wrong
            for name, value in written.items()
            if name in read
            for wrong in lost(value, read[name], f"{path}.{name}")
        ]
    return [] if written == read else [f"{path}: {written!r} was read as {read!r}"]


def reasons(document):
    spec = document.get("spec")
    if spec is None:
        read = yaml.safe_load(document["text"])
        spec = read["spec"] if "apiVersion" in read else read
    try:
        request = DynamoGraphDeploymentRequestSpec.model_validate(spec)
    except ValidationError as error:
        return [
            f"spec.{'.'.join(map(str, fault['loc']))}: {fault['type']}: {fault['msg']}" for fault in error.errors()
        ]
    if document.get("values"):
        return lost(spec, request.model_dump(mode="json", exclude_unset=True, by_alias=True))
    try:
        valid_dgdr_spec(request)
        validate_dgdr_dynamo_features(request, aic_supported=True)
    except ValueError as error:
        return [str(error)]
    return []


verdicts = []
for document in question["documents"]:
    found = reasons(document)
    verdicts.append({"accepted": not found, "reasons": found})
answer(verdicts)
