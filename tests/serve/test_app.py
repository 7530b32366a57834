import concurrent.futures
import io

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from foodjax.run import predict
from foodjax.serve import app as serve_app
from foodjax.system.errors import UserError

BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def client(workdir):
    app = serve_app.create_app(serve_app.Guesser(workdir), "a title", serve_app._allowed("127.0.0.1"))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


def post(client, content, **headers):
    return client.post("/predict", content=content, headers=BYTES | headers)


def test_it_says_what_predict_says(client, workdir):
    places = sorted((workdir.parent / "food-101" / "images").glob("*/30.jpg"))
    said = list(predict.Predictor(workdir).predict(places, {}))
    for path, prediction in zip(places, said, strict=True):
        answer = post(client, path.read_bytes()).json()
        assert [guess["class"] for guess in answer["top"]] == [name for name, _ in prediction.top]
        ours, theirs = (
            [p for p in x] for x in ([g["probability"] for g in answer["top"]], dict(prediction.top).values())
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        assert answer["cams"]
        assert answer["maps"][0]["text"].startswith("16 x 16 pixels, all 32 channels")


def test_the_page_runs_nothing_but_its_own(client):
    reply = client.get("/")
    policy = reply.headers["content-security-policy"]
    nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
    assert reply.text.count(f'nonce="{nonce}"') == 2
    assert "default-src 'none'" in policy
    assert "http://" not in reply.text
    assert "https://" not in reply.text
    assert nonce != client.get("/").headers["content-security-policy"].split("script-src 'nonce-")[1].split("'")[0]
    assert reply.headers["cache-control"] == "no-store"


def png(width, height):
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "content,status,says",
    [
        (b"", 422, "missing or empty"),
        (b"not a picture", 422, "not a picture of a known kind"),
        (png(9000, 6000), 422, "9000 x 6000 pixels, more than 50000000"),
        (png(8, 8)[:40], 422, "not a usable photograph"),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n",
            422,
            "not a picture of a known kind",
        ),
        (bytes(serve_app.MAX_BYTES + 1), 413, "larger than 20 MB"),
        (iter([bytes(2**20)] * 21), 413, "larger than 20 MB"),  # without a length told
    ],
    ids=["empty", "text", "large", "cut", "eps", "long", "endless"],
)
def test_what_is_no_photograph_gets_one_clear_line(client, content, status, says):
    reply = post(client, content)
    assert reply.status_code == status, reply.text
    assert says in reply.json()["error"]


def test_another_site_cannot_ask(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    assert client.post("/predict", content=png(8, 8), headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.get("/predict").status_code == 405


def test_several_at_once_each_get_their_own_answer(client, workdir):
    paths = sorted((workdir.parent / "food-101" / "images").glob("*/2*.jpg"))[:12]
    alone = [post(client, path.read_bytes()).json()["top"] for path in paths]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda path: post(client, path.read_bytes()).json()["top"], paths))
    assert together == alone
    assert len({str(top) for top in alone}) == 12


def test_nothing_is_written(client, workdir, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = sorted(workdir.rglob("*"))
    large = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(large, "PNG")
    assert post(client, large.getvalue()).status_code == 200
    assert sorted(workdir.rglob("*")) == before
    assert not list(tmp_path.iterdir())


def test_an_address_that_cannot_be_used_is_a_user_error(workdir):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(UserError, match="cannot listen on --host 127.0.0.1 --port"):
            serve_app.serve_workdir(workdir, "127.0.0.1", taken.getsockname()[1])
    assert serve_app._allowed("0.0.0.0") == ["*"]
    assert serve_app._allowed("127.0.0.1")[0] == "127.0.0.1"
