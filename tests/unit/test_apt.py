# SPDX-License-Identifier: GPL-2.0
"""Which archives an apt configuration stands for."""
import unittest

from imslib import qemu


class OneLine(unittest.TestCase):
    def gives(self, text, *lines):
        self.assertEqual(qemu.from_one_line(text), list(lines))

    def test_plain(self):
        self.gives('deb http://archive.example.org/debian bookworm main contrib\n'
                   'deb http://archive.example.org/debian-security bookworm-security main\n',
                   'http://archive.example.org/debian bookworm main',
                   'http://archive.example.org/debian-security bookworm-security main')

    def test_source_line(self):
        self.gives('deb-src http://archive.example.org/debian bookworm main\n',
                   'http://archive.example.org/debian bookworm main')

    def test_signing_key_stays_and_architecture_goes(self):
        self.gives('deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian bookworm main',
                   '[signed-by=/k.gpg] https://mirror.example/debian bookworm main')

    def test_third_parties_and_comments(self):
        self.gives('# deb http://archive.example.org/debian bookworm main\n'
                   'deb https://vendor.example/apt stable main\n'
                   'deb https://vendor.example/debian nodistro main\n'
                   'deb http://archive.example.org/debian bookworm contrib\n')


class Deb822(unittest.TestCase):
    TEXT = ('# the archive\nTypes: deb\nURIs: http://archive.example.org/debian\n'
            'Suites: bookworm bookworm-updates\nComponents: main\n'
            'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n')
    KEY = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'

    def gives(self, text, *lines):
        self.assertEqual(qemu.from_deb822(text), list(lines))

    def test_plain(self):
        self.gives(self.TEXT, f'{self.KEY} http://archive.example.org/debian bookworm main',
                   f'{self.KEY} http://archive.example.org/debian bookworm-updates main')

    def test_disabled(self):
        self.gives(self.TEXT + 'Enabled: no\n')

    def test_several_stanzas_and_third_parties(self):
        self.gives('Types: deb\nURIs: https://deb.vendor.example/node\nSuites: nodistro\n'
                   'Components: main\n\n'
                   'Types: deb\nURIs: http://security.example.org/debian-security\n'
                   'Suites: bookworm-security\nComponents: main\n',
                   'http://security.example.org/debian-security bookworm-security main')

    def test_key_in_the_stanza(self):
        text = self.TEXT.split('Signed-By')[0] + 'Signed-By:\n -----BEGIN PGP-----\n .\n abc\n'
        self.gives(text, 'http://archive.example.org/debian bookworm main',
                   'http://archive.example.org/debian bookworm-updates main')
