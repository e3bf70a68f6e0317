"""Chromium uses the page of an echo_server with TLS: page.py CHROMIUM URL"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "browser"))

from devtools import Browser  # noqa: E402 # the path is above


def main(chromium, url):
    browser = Browser(chromium, "--ignore-certificate-errors")
    try:
        page = browser.open(url.replace("wss://", "https://") + "/")
        page.wait("document.querySelector('#state').innerText === 'connected'")
        assert page.evaluate("socket.url").startswith("wss://"), page.evaluate("socket.url")
        page.type("#text", "h\u00e9llo \u20ac")
        page.press("Enter", 13)
        page.wait("document.querySelector('#count').innerText === '1'")
        page.click("#measure")
        page.wait("document.querySelector('#count').innerText === '101'")
        assert page.evaluate("document.querySelectorAll('#log .bad').length") == 0, "an echo is different"
        page.click("#toggle")
        page.wait("document.querySelector('#state').innerText === 'disconnected'")
        page.check_errors()
    finally:
        browser.end()


main(*sys.argv[1:])
