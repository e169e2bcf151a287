// SPDX-License-Identifier: GPL-2.0
/*
 * Holds the output back until some time after this program and /init have said all that
 * they say: a machine that is switched off before it is sent loses the last lines.
 */
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

int main(void)
{
	puts("TAP version 13\n1..1\nok 1 the last lines arrive");
	fflush(stdout);
	if (tcdrain(STDOUT_FILENO) || tcflow(STDOUT_FILENO, TCOOFF))
		return 1;

	switch (fork()) {
	case -1:
		return 1;
	case 0:
		sleep(5);
		return tcflow(STDOUT_FILENO, TCOON) ? 1 : 0;
	}
	return 0;
}
