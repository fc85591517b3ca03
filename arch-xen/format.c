/* SPDX-License-Identifier: MIT */
/*
 * snprintf for a kernel without a C library: the conversions that log.h lists, and %pS for
 * addresses. An unknown conversion is printed as it stands. Owns nothing.
 */
#include <pvmm/log.h>
#include <pvmm/symbol.h>

struct out {
	char *buf;
	size_t size;
	size_t len; /* of the whole text, whether or not it fits */
};

struct spec {
	bool left, zero, alternate, plus, space;
	int width;
	int precision; /* -1: none given */
	int longs;     /* how many l; z and j count as one */
};

static void put(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct out *o, char c, int nr)
{
	while (nr-- > 0)
		put(o, c);
}

static void put_text(struct out *o, const struct spec *s, const char *text)
{
	int len = 0;

	if (!text)
		text = "(null)";
	while ((s->precision < 0 || len < s->precision) && text[len])
		len++;
	if (!s->left)
		pad(o, ' ', s->width - len);
	for (int i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		pad(o, ' ', s->width - len);
}

/* sign: 0 for none. */
static void put_number(struct out *o, const struct spec *s, uint64_t value, unsigned int base,
		       bool upper, char sign)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	bool prefix = s->alternate && base == 16 && value;
	char text[24];
	int len = 0, zeros, total;

	for (uint64_t v = value; v; v /= base)
		text[len++] = digits[v % base];
	if (!len && s->precision)
		text[len++] = '0';

	zeros = s->precision > len ? s->precision - len : 0;
	total = len + zeros + (sign ? 1 : 0) + (prefix ? 2 : 0);
	if (s->zero && !s->left && s->precision < 0 && s->width > total) {
		zeros += s->width - total;
		total = s->width;
	}

	if (!s->left)
		pad(o, ' ', s->width - total);
	if (sign)
		put(o, sign);
	if (prefix) {
		put(o, '0');
		put(o, upper ? 'X' : 'x');
	}
	pad(o, '0', zeros);
	while (len)
		put(o, text[--len]);
	if (s->left)
		pad(o, ' ', s->width - total);
}

/* function+0x12, or the bare address. */
static void put_symbol(struct out *o, uintptr_t addr)
{
	const struct spec plain = {.precision = -1, .alternate = true};
	uintptr_t offset = 0;
	const char *name = pvmm_symbol_lookup(addr, &offset);

	if (!name) {
		put_number(o, &plain, addr, 16, false, 0);
		return;
	}
	put_text(o, &plain, name);
	put(o, '+');
	put(o, '0');
	put(o, 'x');
	put_number(o, &(struct spec){.precision = 1}, offset, 16, false, 0);
}

static int parse_int(const char **fmt)
{
	int value = 0;

	while (**fmt >= '0' && **fmt <= '9')
		value = value * 10 + (*(*fmt)++ - '0');
	return value;
}

static const char *parse_spec(const char *fmt, struct spec *s, va_list *ap)
{
	*s = (struct spec){.precision = -1};
	for (;; fmt++) {
		if (*fmt == '-')
			s->left = true;
		else if (*fmt == '0')
			s->zero = true;
		else if (*fmt == '#')
			s->alternate = true;
		else if (*fmt == '+')
			s->plus = true;
		else if (*fmt == ' ')
			s->space = true;
		else
			break;
	}
	if (*fmt == '*') {
		s->width = va_arg(*ap, int);
		if (s->width < 0) {
			s->left = true;
			s->width = -s->width;
		}
		fmt++;
	} else {
		s->width = parse_int(&fmt);
	}
	if (*fmt == '.') {
		fmt++;
		if (*fmt == '*') {
			s->precision = va_arg(*ap, int);
			fmt++;
		} else {
			s->precision = parse_int(&fmt);
		}
	}
	for (; *fmt == 'l' || *fmt == 'z' || *fmt == 'j' || *fmt == 'h'; fmt++)
		s->longs += *fmt == 'h' ? 0 : 1;
	return fmt;
}

static void put_signed(struct out *o, const struct spec *s, int64_t value)
{
	char sign = value < 0 ? '-' : s->plus ? '+' : s->space ? ' ' : 0;

	put_number(o, s, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, false, sign);
}

/* One conversion; returns what follows it in the format. */
static const char *convert(struct out *o, const char *fmt, va_list *ap)
{
	const char *start = fmt;
	struct spec s;

	fmt = parse_spec(fmt, &s, ap);
	switch (*fmt) {
	case 'd':
	case 'i':
		put_signed(o, &s, s.longs ? va_arg(*ap, long) : va_arg(*ap, int));
		return fmt + 1;
	case 'u':
	case 'x':
	case 'X':
		put_number(o, &s, s.longs ? va_arg(*ap, unsigned long) : va_arg(*ap, unsigned int),
			   *fmt == 'u' ? 10 : 16, *fmt == 'X', 0);
		return fmt + 1;
	case 'c': {
		char text[2] = {(char)va_arg(*ap, int), '\0'};

		put_text(o, &s, text);
		return fmt + 1;
	}
	case 's':
		put_text(o, &s, va_arg(*ap, const char *));
		return fmt + 1;
	case 'p': {
		uintptr_t addr = (uintptr_t)va_arg(*ap, void *);

		if (fmt[1] == 'S') {
			put_symbol(o, addr);
			return fmt + 2;
		}
		put(o, '0');
		put(o, 'x');
		put_number(o, &(struct spec){.precision = 1}, addr, 16, false, 0);
		return fmt + 1;
	}
	case '%':
		put(o, '%');
		return fmt + 1;
	default:
		put(o, '%');
		return start;
	}
}

int pvmm_vsnprintf(char *buf, size_t len_bytes, const char *fmt, va_list args)
{
	struct out o = {.buf = buf, .size = len_bytes};
	va_list ap;

	va_copy(ap, args);
	while (*fmt) {
		if (*fmt == '%')
			fmt = convert(&o, fmt + 1, &ap);
		else
			put(&o, *fmt++);
	}
	va_end(ap);
	if (len_bytes)
		buf[o.len < len_bytes ? o.len : len_bytes - 1] = '\0';
	return (int)o.len;
}

int pvmm_snprintf(char *buf, size_t len_bytes, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = pvmm_vsnprintf(buf, len_bytes, fmt, ap);
	va_end(ap);
	return len;
}
