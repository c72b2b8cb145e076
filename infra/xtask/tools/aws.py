"""What `cargo xtask deploy` asks AWS for itself; run by the Python of the SAM command line, which has boto3.

    look STACK SENDER     one JSON object about the account, the stack and what limits it; changes nothing
    image REPOSITORY TAG  the digest of an image that was pushed before, or nothing
    login                 a password for the account's image registry, for `docker login --password-stdin`

The region and the credentials are those of the environment (AWS_REGION, AWS_PROFILE, …), as everywhere. Exits with 2 when
there are no credentials that AWS takes, with the reason on stderr.
"""

import base64
import email.utils
import json
import sys

import boto3
import botocore.exceptions

NO_CREDENTIALS = 2
CREDENTIALS = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.ProfileNotFound,
    botocore.exceptions.TokenRetrievalError,
    botocore.exceptions.UnauthorizedSSOTokenError,
    botocore.exceptions.SSOTokenLoadError,
)


def look(stack, sender):
    identity = boto3.client("sts").get_caller_identity()
    return {
        "account": identity["Account"],
        "arn": identity["Arn"],
        "stack": optional(status, stack),
        "concurrency": optional(concurrency),
        "mail": optional(mail, sender),
    }


def optional(ask, *arguments):
    """The answer, or null where the caller may not ask: a hint less is no reason to stop."""
    try:
        return ask(*arguments)
    except botocore.exceptions.ClientError as error:
        print(f"not told: {error}", file=sys.stderr)
        return None


def status(stack):
    """What state the stack is in; an empty text if there is none."""
    try:
        stacks = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return ""
        raise
    return stacks[0]["StackStatus"] if stacks else ""


def concurrency():
    """How many Lambda environments the account may have at once."""
    return boto3.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]


def mail(sender):
    """Whether SES may send from the address, by itself or by its domain, and to anybody."""
    ses = boto3.client("sesv2")
    address = email.utils.parseaddr(sender)[1]
    verified = any(verified_identity(ses, name) for name in (address, address.rpartition("@")[2]))
    return {"address": address, "verified": verified, "sandbox": not ses.get_account()["ProductionAccessEnabled"]}


def verified_identity(ses, name):
    try:
        return ses.get_email_identity(EmailIdentity=name)["VerifiedForSendingStatus"]
    except ses.exceptions.NotFoundException:
        return False


def image(repository, tag):
    ecr = boto3.client("ecr")
    try:
        found = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
    except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
        return ""
    return found["imageDetails"][0]["imageDigest"]


def login():
    token = boto3.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return base64.b64decode(token).decode().partition(":")[2]


def main(command, *arguments):
    try:
        answer = {"look": look, "image": image, "login": login}[command](*arguments)
    except CREDENTIALS as error:
        print(error, file=sys.stderr)
        return NO_CREDENTIALS
    except botocore.exceptions.ClientError as error:
        print(error, file=sys.stderr)
        wrong = ("InvalidClientTokenId", "ExpiredToken", "SignatureDoesNotMatch", "UnrecognizedClientException")
        return NO_CREDENTIALS if error.response["Error"]["Code"] in wrong else 1
    except botocore.exceptions.BotoCoreError as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(answer) if isinstance(answer, dict) else answer)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
