package span

// AppendProto appends the attribute as an OTLP KeyValue message.
func (a Attribute) AppendProto(dst []byte) []byte {
	dst = appendText(dst, 1, a.Key)
	dst, mark := openMessage(dst, 2)
	dst = appendValue(dst, a.Value)
	return closeMessage(dst, mark)
}

// MarshalJSON is the attribute in OTLP JSON.
func (a Attribute) MarshalJSON() ([]byte, error) {
	dst := appendString([]byte(`{"key":`), a.Key)
	dst = appendValueJSON(append(dst, `,"value":`...), a.Value)
	return append(dst, '}'), nil
}
