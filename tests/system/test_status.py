# SPDX-License-Identifier: MIT
"""What a process that never ends tells of itself, and what an index has of losses."""
import os, shutil, unittest

import support
from support import S, T0, index, verify

LOSS = os.path.join(support.ROOT, 'schema', 'loss.sql')


class Loss(support.TestCase):
    """Table loss beside the captures."""

    def setUp(self):
        super().setUp()
        self.db = self.path('x.db')
        self.files = self.fcgen('c.pcap', '--packets', '300', '--sessions', '20', '--files', '2')
        index(self.db, '-q', *self.files)
        with support.open_db(self.db, True) as c:
            c.executescript(support.read_bytes(LOSS).decode())
            for row in ((T0, 'eth0', T0, T0 + S, 110, 100, 10, 0, 0, 5), (T0, 'eth0', T0 + S, T0 + 9 * S, 150, 150, 0, 0, 0, 0),
                        (T0, 'eth1', T0, T0 + S, 54, 50, 0, 3, 1, 0)):
                c.execute('INSERT INTO loss VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 2)', row)

    def planted(self, sql, *says):
        db = self.path('y.db')
        shutil.copy(self.db, db)
        with support.open_db(db, True) as c:
            self.assertGreater(c.execute(sql).rowcount, 0)
        self.assert_says(verify(db, ok=2), *says)

    def test_verify_sees_what_does_not_add_up(self):
        verify(self.db)
        self.planted('UPDATE loss SET dropped_queue = 2 WHERE id = 3', 'loss 3: 54 packets received are not 50 recorded and 3 dropped')
        self.planted('UPDATE loss SET received = 1 + received, recorded = recorded + 1 WHERE id = 1', '301 packets were recorded', 'have 300')
        self.planted('UPDATE loss SET last_file = 1', '300 packets were recorded', 'captures 1 to 1')
        self.planted('UPDATE loss SET end_ns = 0 WHERE id = 2', 'loss 2: its numbers cannot be')
        self.planted('UPDATE loss SET recorded = -1, received = 9 WHERE id = 2', 'loss 2: its numbers cannot be')

    def test_more_is_added_to_an_index_that_has_the_table_as_it_is_to_be(self):
        more = self.fcgen('d.pcap', '--packets', '100', '--start', '1800000000')
        index(self.db, '-q', *more)
        self.assertEqual(len(support.select(self.db, 'SELECT * FROM loss')), 3)
        verify(self.db)
        with support.open_db(self.db, True) as c:
            c.execute('ALTER TABLE loss ADD COLUMN x')
        more = self.fcgen('e.pcap', '--packets', '100', '--start', '1900000000')
        self.assert_says(index(self.db, '-q', *more, ok=2), 'table loss as flowcarve does not make it')


if __name__ == '__main__':
    support.main()
