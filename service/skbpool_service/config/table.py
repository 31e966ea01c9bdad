"""What every table of the configuration has in common."""

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError


class Table(BaseModel):
    """A table whose keys are all known."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth(cls, value: object, info: ValidationInfo) -> object:
        return no_truth(cls, value, info)


def no_truth(table: type[BaseModel], value: object, info: ValidationInfo) -> object:
    """Return the value; raise for true and false, 1 and 0 to Python, where a number is meant."""
    name = info.field_name
    if isinstance(value, bool) and name and table.model_fields[name].annotation is not bool:
        raise PydanticCustomError("truth", "true and false are no number")
    return value
