"""An emulator of AWS, and stacks in it, for deployed.py."""

import contextlib
import json
import re

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from promises import Wrong, check, eventually, say

REGION = "us-east-1"
DEPLOYED_WITHIN_S = 30


def denied(call):
    """A call must be refused for want of a right, and for nothing else."""
    try:
        call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        check("AccessDenied" in code, f"refused for another reason: {error}")
    else:
        raise Wrong("a call was let through that no policy allows")


class Aws:
    """The emulator, as the owner of the account."""

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def environment(self):
        """The usual variables, for a program of ours."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def client(self, service, key="test", secret="test", is_encrypted=True):
        """A client, by default with all rights, and as if a proxy had taken TLS off before the emulator."""
        made = botocore.session.Session().create_client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1}),
        )
        scheme = "https" if is_encrypted else "http"
        # Nothing that is returned: that would count as the answer.
        def forwarded(request, **_):
            request.headers["X-Forwarded-Proto"] = scheme

        made.meta.events.register("before-send", forwarded)
        return made

    def upload(self, bucket, path):
        """Puts the function's code where a template finds it."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket)
        with open(path, "rb") as file:
            s3.put_object(Bucket=bucket, Key="lambda.zip", Body=file.read())
        return bucket

    def make_role(self, name, service):
        """A role without a right, unless there is one of that name."""
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam = self.client("iam")
        with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)


class Stack:
    """A template that is deployed; its outputs by their names."""

    def __init__(self, aws, name, path, parameters):
        self.aws, self.name, self.actors = aws, name, {}
        self.cloudformation = aws.client("cloudformation")
        self.cloudformation.create_stack(
            StackName=name,
            TemplateBody=path.read_text(),
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
        )
        eventually(self.is_settled, DEPLOYED_WITHIN_S, f"{path.name} deployed")
        found = self.describe()
        if found["StackStatus"] != "CREATE_COMPLETE":
            raise Wrong(f"{path.name}: {found['StackStatus']}: {self.reasons()}")
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
        say(f"{path.name} is deployed")

    def __getitem__(self, output):
        return self.outputs[output]

    def describe(self):
        """The stack as it is now."""
        return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]

    def is_settled(self):
        """Whether it has ended, well or not."""
        return not self.describe()["StackStatus"].endswith("_IN_PROGRESS")

    def reasons(self):
        """Why it failed."""
        events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ]

    def delete(self):
        """Takes all of it away again, and says when something could not be."""
        self.cloudformation.delete_stack(StackName=self.name)

        def is_gone():
            try:
                state = self.describe()["StackStatus"]
            except ClientError:
                return True
            check(state != "DELETE_FAILED", f"{self.name}: {self.reasons()}")
            return state == "DELETE_COMPLETE"

        eventually(is_gone, DEPLOYED_WITHIN_S, f"{self.name} deleted")
        say(f"{self.name} is deleted")

    def act(self, output, service):
        """A client with the rights of a role or of a policy, and no others.

        By a user with the same documents: nobody but a service may take the role itself.
        """
        if output not in self.actors:
            self.actors[output] = self.make_actor(self[output])
        return self.aws.client(service, *self.actors[output])

    def make_actor(self, arn):
        """The keys of a user who may do what a role, or a policy, says."""
        iam = self.aws.client("iam")
        user = re.sub(r"[^\w]", "-", arn.rpartition("/")[2])
        iam.create_user(UserName=user)
        if ":policy/" in arn:
            iam.attach_user_policy(UserName=user, PolicyArn=arn)
        else:
            role = arn.rpartition("/")[2]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
                document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
                iam.put_user_policy(UserName=user, PolicyName=name, PolicyDocument=json.dumps(document))
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]
