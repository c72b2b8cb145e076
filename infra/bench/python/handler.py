"""An empty handler for AWS's own runtime of Python (awslambdaric)."""


def handle(event, context):
    return event
