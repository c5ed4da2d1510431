"""MLflow's server behind basic auth, as a proxy gives it: `guarded_mlflow.py FOLDER PORT`.

User and password are asked as `GUARD` has them, `user:password`.
"""

import base64
import os
import sys
from pathlib import Path

import mlflow.server as server
from mlflow import MlflowClient
from werkzeug.serving import run_simple


def guarded(application, expected):
    def answer(environ, start_response):
        if environ.get("HTTP_AUTHORIZATION") != expected:
            start_response("401 Unauthorized", [("WWW-Authenticate", "Basic")])
            return [b"who is there?"]
        return application(environ, start_response)

    return answer


if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    store = f"sqlite:///{folder / 'mlflow.db'}"
    MlflowClient(tracking_uri=store).search_experiments()  # makes its tables, before it listens
    os.environ[server.BACKEND_STORE_URI_ENV_VAR] = store
    os.environ[server.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    os.environ[server.ARTIFACTS_DESTINATION_ENV_VAR] = str(folder / "artifacts")
    os.environ[server.SERVE_ARTIFACTS_ENV_VAR] = "true"
    expected = "Basic " + base64.b64encode(os.environ["GUARD"].encode()).decode()
    run_simple("127.0.0.1", port, guarded(server.app.wsgi_app, expected), threaded=True)
