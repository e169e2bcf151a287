/* SPDX-License-Identifier: GPL-2.0 */

/**
 * ims_broken_markup - A list that is no list
 * @a:	A number
 *
 * Return: A text of
 * two lines
 *	* and a list
 */
int ims_broken_markup(int a);

/**
 * ims_broken_parameter - A description that is not complete
 * @a:	A number
 */
int ims_broken_parameter(int a, int b);
