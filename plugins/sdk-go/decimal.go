package clickmill

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Decimal is an exact number times 1,000,000,000: an integer of 128 bits in two words. A sum, a difference or a product
// of more than 38 digits panics, which refuses the row.
type Decimal struct {
	Low  uint64
	High int64
}

// greatest is 38 nines, 9 of them after the point.
var greatest = Decimal{0x098a_223f_ffff_ffff, 0x4b3b_4ca8_5a86_c47a}

// Whole is an integer as an exact number.
func Whole(number int64) Decimal { return Decimal{Low: 1_000_000_000}.Times(number) }

// Plus is the sum of two exact numbers.
func (d Decimal) Plus(other Decimal) Decimal {
	low, carry := bits.Add64(d.Low, other.Low, 0)
	high := d.High + other.High + int64(carry)
	if (d.High < 0) == (other.High < 0) && (high < 0) != (d.High < 0) {
		panic(tooLong)
	}
	return within(Decimal{low, high})
}

// Minus is the difference of two exact numbers.
func (d Decimal) Minus(other Decimal) Decimal { return d.Plus(other.negated()) }

// Times is an exact number taken so many times.
func (d Decimal) Times(number int64) Decimal {
	size, times := d, uint64(number)
	if d.High < 0 {
		size = d.negated()
	}
	if number < 0 {
		times = -times
	}
	carry, low := bits.Mul64(size.Low, times)
	over, high := bits.Mul64(uint64(size.High), times)
	high, more := bits.Add64(high, carry, 0)
	if over > 0 || more > 0 || high > math.MaxInt64 {
		panic(tooLong)
	}
	product := within(Decimal{low, int64(high)})
	if (d.High < 0) != (number < 0) {
		return product.negated()
	}
	return product
}

const tooLong = "an exact number of more than 38 digits"

// within is a number of at most 38 digits.
func within(number Decimal) Decimal {
	if number.Compare(greatest) > 0 || number.Compare(greatest.negated()) < 0 {
		panic(tooLong)
	}
	return number
}

func (d Decimal) negated() Decimal {
	low, borrow := bits.Sub64(0, d.Low, 0)
	return Decimal{low, -d.High - int64(borrow)}
}

// Compare is -1 where the number is less than the other one, 0 where they are the same, and 1 where it is more.
func (d Decimal) Compare(other Decimal) int {
	if d.High != other.High {
		return cmp.Compare(d.High, other.High)
	}
	return cmp.Compare(d.Low, other.Low)
}

// String is the number with as many digits as it needs: `19.9`.
func (d Decimal) String() string {
	sign := ""
	if d.High < 0 {
		sign, d = "-", d.negated()
	}
	digits := make([]byte, 0, 40)
	for high, low := uint64(d.High), d.Low; high > 0 || low > 0 || len(digits) < 10; {
		var rest uint64
		high, rest = high/10, high%10
		low, rest = bits.Div64(rest, low, 10)
		digits = append(digits, byte('0'+rest))
	}
	slices.Reverse(digits)
	point := len(digits) - 9
	fraction := strings.TrimRight(string(digits[point:]), "0")
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + string(digits[:point]) + fraction
}

// ParseDecimal is the exact number that a text such as `19.90` or `2e3` is. The error says that it is none, or has more
// than 9 digits after the point or 38 in all.
func ParseDecimal(text string) (Decimal, error) {
	none := fmt.Errorf("`%.80s` is no exact number", text)
	unsigned := strings.TrimPrefix(strings.TrimPrefix(text, "+"), "-")
	if len(text)-len(unsigned) > 1 {
		return Decimal{}, none
	}
	mantissa, power, exponent := unsigned, "", 0
	if at := strings.IndexAny(unsigned, "eE"); at >= 0 {
		mantissa, power = unsigned[:at], unsigned[at+1:]
		var err error
		if exponent, err = strconv.Atoi(power); err != nil || len(power) > 7 {
			return Decimal{}, none
		}
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return Decimal{}, none
	}
	digits = strings.TrimLeft(digits, "0")
	// How many zeros are behind them in billionths; below 0, how many digits are too many.
	zeros := 9 - len(fraction) + exponent
	for ; zeros < 0 && strings.HasSuffix(digits, "0"); zeros++ {
		digits = digits[:len(digits)-1]
	}
	switch {
	case digits == "":
		return Decimal{}, nil
	case zeros < 0:
		return Decimal{}, fmt.Errorf("`%.80s` has more than 9 digits after the point", text)
	case len(digits)+zeros > 38:
		return Decimal{}, fmt.Errorf("`%.80s` has more than 38 digits", text)
	}
	var number Decimal
	for _, digit := range digits + strings.Repeat("0", zeros) {
		number = number.Times(10).Plus(Decimal{Low: uint64(digit - '0')})
	}
	if strings.HasPrefix(text, "-") {
		number = number.negated()
	}
	return number, nil
}
