package traceql

// Query is a parsed query.
type Query struct {
	Pipeline *Pipeline
	Metrics  *Metrics // nil for a search
	Stages   []MetricsStage
	Hints    []Hint
}

// Hint is one entry of `with(name=value)`.
type Hint struct {
	Name  string
	Value Value
}

// Pipeline is stages separated by `|`, each of which receives the spansets of the
// one before. The first receives all spans of the trace as one spanset.
type Pipeline struct {
	Stages []Stage // at least one
}

// Stage is a step of a pipeline: a [SpansetExpr], [*ScalarFilter], [*GroupBy],
// [*Select] or [*Coalesce].
type Stage interface {
	String() string
	stage()
}

// SpansetExpr selects spans: a [*SpansetFilter], [*Combine], [*Structural] or, in
// parentheses, a [*Pipeline].
type SpansetExpr interface {
	Stage
	spansetExpr()
}

// SpansetFilter keeps the spans for which the expression is true: `{ expr }`.
type SpansetFilter struct {
	Expr Expr // nil for `{ }`, which keeps all
}

// Combine is `Left && Right`, the spans of both sides if neither is empty, or
// `Left || Right`, the spans of either.
type Combine struct {
	Op          Op // OpAnd or OpOr
	Left, Right SpansetExpr
}

// Structural keeps spans of Right that stand in the relation to a span of Left,
// or, negated, to none of them; with Union, also the spans of Left that one of
// Right stands in the relation to.
type Structural struct {
	Relation    Relation
	Mode        Mode
	Left, Right SpansetExpr
}

// Relation is how a span on the right stands to one on the left.
type Relation uint8

// The structural relations.
const (
	Child      Relation = iota // >
	Descendant                 // >>
	Parent                     // <
	Ancestor                   // <<
	Sibling                    // ~
)

// String is the operator.
func (r Relation) String() string { return [...]string{">", ">>", "<", "<<", "~"}[r] }

// Mode is the form of a structural operator.
type Mode uint8

// The forms of a structural operator.
const (
	ModePlain Mode = iota
	ModeNot        // !>
	ModeUnion      // &>
)

// String is what stands before the relation.
func (m Mode) String() string { return [...]string{"", "!", "&"}[m] }

// ScalarFilter keeps the spansets for which a comparison of scalars holds:
// `count() > 2`.
type ScalarFilter struct {
	Op          Op // a comparison
	Left, Right ScalarExpr
	Offset      int // of the operator
}

// ScalarExpr is a number that a spanset has: an [*Aggregate], [*Literal],
// [*ScalarBinary] or [*ScalarPipeline].
type ScalarExpr interface {
	String() string
	scalarExpr()
}

// Aggregate is `count()` or another function of the values of an expression over
// the spans of a spanset.
type Aggregate struct {
	Func   AggregateFunc
	Expr   Expr // nil for count
	Offset int
}

// AggregateFunc is a function of [Aggregate].
type AggregateFunc uint8

// The functions of an aggregate.
const (
	Count AggregateFunc = iota
	Avg
	Max
	Min
	Sum
)

var aggregateNames = [...]string{"count", "avg", "max", "min", "sum"}

// String is the function's name.
func (f AggregateFunc) String() string { return aggregateNames[f] }

// ScalarBinary is arithmetic of scalars.
type ScalarBinary struct {
	Op          Op
	Left, Right ScalarExpr
	Offset      int // of the operator
}

// ScalarPipeline is `({ } | count())`: a pipeline whose last step is a scalar.
type ScalarPipeline struct {
	Pipeline *Pipeline
	Scalar   ScalarExpr
}

// GroupBy splits each spanset by the value of an expression: `by(expr)`.
type GroupBy struct {
	Expr   Expr
	Offset int
}

// Select adds attributes to the answer: `select(a, b)`.
type Select struct {
	Attributes []Attribute
}

// Coalesce joins all spansets into one: `coalesce()`.
type Coalesce struct{}

// Expr is an expression over one span: a [*Field], [*Literal], [*Unary] or [*Binary].
type Expr interface {
	String() string
	// Pos is the byte in the text that an error about the expression points at.
	Pos() int
	expr()
}

// Field is the value that a span has for an attribute or intrinsic.
type Field struct {
	Attribute
	Offset int
}

// Literal is a value in the query.
type Literal struct {
	Value  Value
	Offset int
}

// Unary is `-x` or `!x`.
type Unary struct {
	Op     Op // OpNeg or OpNot
	X      Expr
	Offset int
}

// Binary is an operation of two expressions.
type Binary struct {
	Op          Op
	Left, Right Expr
	Offset      int // of the operator

	// matcher is the right side of =~ and !~, compiled.
	matcher *Matcher
}

// Op is an operator.
type Op uint8

// The operators.
const (
	OpNone Op = iota
	OpAnd
	OpOr
	OpEqual
	OpNotEqual
	OpLess
	OpLessEqual
	OpGreater
	OpGreaterEqual
	OpMatch    // =~, the whole of the text
	OpNotMatch // !~
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpMod
	OpPow
	OpNot
	OpNeg
)

var opNames = [...]string{"", "&&", "||", "=", "!=", "<", "<=", ">", ">=", "=~", "!~", "+", "-", "*", "/", "%", "^", "!", "-"}

// String is the operator as written.
func (o Op) String() string { return opNames[o] }

// Comparison reports whether it compares two values.
func (o Op) Comparison() bool { return OpEqual <= o && o <= OpNotMatch }

// Arithmetic reports whether it makes a number of two numbers.
func (o Op) Arithmetic() bool { return OpAdd <= o && o <= OpPow }

// Mirror is the comparison with its sides exchanged: a < b is b > a.
func (o Op) Mirror() Op {
	switch o {
	case OpLess:
		return OpGreater
	case OpLessEqual:
		return OpGreaterEqual
	case OpGreater:
		return OpLess
	case OpGreaterEqual:
		return OpLessEqual
	}
	return o
}

// Metrics makes time series of the spans that the pipeline selects.
type Metrics struct {
	Func      MetricsFunc
	Field     *Field    // of min, max, avg, sum, quantile and histogram
	Quantiles []float64 // of quantile, each from 0 to 1
	By        []Field

	// Of compare: the spans of the selection, how many values of each attribute
	// to give, and, unless both are 0, the unix nanoseconds that bound it.
	Selection  *SpansetFilter
	TopN       int
	Start, End int64

	Offset int
}

// MetricsFunc is a function of [Metrics].
type MetricsFunc uint8

// The functions of a metrics query.
const (
	Rate MetricsFunc = iota
	CountOverTime
	MinOverTime
	MaxOverTime
	AvgOverTime
	SumOverTime
	QuantileOverTime
	HistogramOverTime
	Compare
)

var metricsNames = [...]string{
	"rate", "count_over_time", "min_over_time", "max_over_time", "avg_over_time",
	"sum_over_time", "quantile_over_time", "histogram_over_time", "compare",
}

// String is the function's name.
func (f MetricsFunc) String() string { return metricsNames[f] }

// MetricsStage works on time series: a [*TopK] or [*MetricsFilter].
type MetricsStage interface {
	String() string
	metricsStage()
}

// TopK keeps, at every point in time, the N greatest samples (`topk`), or the N
// smallest (`bottomk`).
type TopK struct {
	N      int
	Bottom bool
}

// MetricsFilter keeps the samples for which the comparison holds.
type MetricsFilter struct {
	Op    Op
	Value Value
}

func (*Pipeline) stage()      {}
func (*SpansetFilter) stage() {}
func (*Combine) stage()       {}
func (*Structural) stage()    {}
func (*ScalarFilter) stage()  {}
func (*GroupBy) stage()       {}
func (*Select) stage()        {}
func (*Coalesce) stage()      {}

func (*Pipeline) spansetExpr()      {}
func (*SpansetFilter) spansetExpr() {}
func (*Combine) spansetExpr()       {}
func (*Structural) spansetExpr()    {}

func (*Aggregate) scalarExpr()      {}
func (*Literal) scalarExpr()        {}
func (*ScalarBinary) scalarExpr()   {}
func (*ScalarPipeline) scalarExpr() {}

func (*Field) expr()   {}
func (*Literal) expr() {}
func (*Unary) expr()   {}
func (*Binary) expr()  {}

// Matcher is the regular expression on the right side of =~ and !~, nil for
// other operators.
func (b *Binary) Matcher() *Matcher { return b.matcher }

// Pos implements [Expr].
func (f *Field) Pos() int { return f.Offset }

// Pos implements [Expr].
func (l *Literal) Pos() int { return l.Offset }

// Pos implements [Expr].
func (u *Unary) Pos() int { return u.Offset }

// Pos implements [Expr].
func (b *Binary) Pos() int { return b.Offset }

func (*TopK) metricsStage()          {}
func (*MetricsFilter) metricsStage() {}
