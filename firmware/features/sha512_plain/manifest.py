# SHA-512 without machine code, for a port without viper.
package("latchkey", files=("sha512_plain.py",), base_path="../..")
