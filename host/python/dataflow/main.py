"""What a Flex Template starts."""

from clickmill.beam.main import main

if __name__ == "__main__":
    main()
