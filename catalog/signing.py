"""The key that signs what leaves the mesh for machines to trust. The only user of `cryptography`."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from fairmesh.catalog.errors import ConfigError, StorageUnavailable

_SIZE = 32
"""Bytes of each half of an ES256 signature."""


class SigningKey:
    """A key pair on the curve P-256, kept as a PEM file that its owner alone may read."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    @classmethod
    def open(cls, path: Path) -> SigningKey:
        """The key in the file; made when there is none.

        Raises `ConfigError` when others may read the file or it holds something else, `StorageUnavailable` when the
        disk refuses.
        """
        try:
            if not path.exists():
                _make(path)
            loose = path.stat().st_mode & 0o077
            text = path.read_bytes()
        except OSError as error:
            raise StorageUnavailable(
                f"the signing key {path} cannot be used: {error.strerror}",
                remedy="Check the disk and the rights of the data directory.",
            ) from error
        if loose:
            raise ConfigError(
                f"the signing key {path} can be read by others",
                remedy="Remove it (a new one is made) if they may have read it; else `chmod 600` it.",
            )
        try:
            key = serialization.load_pem_private_key(text, None)
        except (ValueError, TypeError) as error:
            raise _unusable(path) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise _unusable(path)
        return cls(key)

    @property
    def public_pem(self) -> bytes:
        """The public half: SubjectPublicKeyInfo in PEM."""
        return self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, claims: Mapping[str, object], *, key_id: str) -> str:
        """A compact JWS (RFC 7515) over the claims, ES256. The same claims give the same text (RFC 6979)."""
        header = {"alg": "ES256", "kid": key_id, "typ": "JWT"}
        signed = b".".join(_base64(json.dumps(part, sort_keys=True).encode()) for part in (header, claims))
        r, s = utils.decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
        return b".".join((signed, _base64(r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big")))).decode()


def _make(path: Path) -> None:
    """Whole or not at all; of two processes that make one, the first wins."""
    text = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink(missing_ok=True)


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unusable(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} is no private key for ES256", remedy="Restore it from a backup, or remove it: a new one is made."
    )
